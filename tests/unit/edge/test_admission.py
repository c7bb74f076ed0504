"""Admission: the map's keys are the route table, byte for byte, and the verdict passes nothing else."""

import pytest

from relay.domain.endpoints import ENDPOINTS
from relay.edge.admission import everything_else, gate, maps, nobody, preflight_line, request_line
from relay.edge.conf import Regex, Row, print_tree
from relay.edge.policy import Admitted
from relay.edge.scope import rows
from tests.unit.edge.edges import OPEN, TLS, policy


def _rows(result: str, **edge: object) -> dict[str, str]:
    return rows(maps(policy(**edge)), result)


def test_the_keys_are_the_route_table() -> None:
    assert _rows("edge_line") == {"default": "none", **{f"POST {endpoint.path} HTTP/1.1": "post" for endpoint in ENDPOINTS}}


def test_each_protocol_and_opt_in_adds_its_own_lines() -> None:
    lines = _rows("edge_line", **OPEN, tls=TLS)
    assert len(lines) == 1 + 2 * 3 * (len(ENDPOINTS) + 1)
    assert lines["GET /v1/models HTTP/2.0"] == "get"
    assert lines["OPTIONS /v1/models HTTP/1.0"] == "preflight"
    assert "HEAD /v1/models HTTP/1.1" not in lines
    assert "POST /v1/models HTTP/1.1" not in lines


def test_a_line_is_method_path_and_protocol() -> None:
    assert request_line(Admitted("POST", "/v1/x", 1), "HTTP/1.1") == "POST /v1/x HTTP/1.1"
    assert preflight_line(Admitted("POST", "/v1/x", 1), "HTTP/1.1") == "OPTIONS /v1/x HTTP/1.1"


def test_no_pattern_takes_part() -> None:
    assert not [row for table in maps(policy(**OPEN)) for row in table.body or () if isinstance(row, Row) and isinstance(row.key, Regex)]


@pytest.mark.parametrize(("edge", "passing"), [({}, {"post"}), (OPEN, {"post", "get"})])
def test_the_verdict_passes_only_what_is_right_in_every_respect(edge: dict[str, object], passing: set[str]) -> None:
    verdicts = _rows("edge_verdict", **edge)
    assert {key for key, value in verdicts.items() if value == "pass"} == {f"{line} known none plain" for line in passing}
    assert verdicts["default"] == "$edge_why"


def test_a_transfer_encoding_is_chunked_in_http_11_or_nothing() -> None:
    assert _rows("edge_transfer", tls=TLS) == {"default": "coded", "HTTP/1.1:": "plain", "HTTP/2.0:": "plain", "HTTP/1.1:chunked": "plain"}


def test_a_preflight_is_answered_for_listed_origins_and_the_paths_own_method() -> None:
    asked = _rows("edge_cors_method", **OPEN)
    assert asked["OPTIONS /v1/models HTTP/1.1 GET"] == "GET"
    assert "OPTIONS /v1/models HTTP/1.1 POST" not in asked
    answered = _rows("edge_preflight", **OPEN)
    assert answered == {"default": "origin", "POST https://chat.example.com": "preflight", "GET https://chat.example.com": "preflight"}
    assert _rows("edge_preflight") == {}


def test_an_unknown_name_is_closed_before_anything_else_is_judged() -> None:
    assert _rows("edge_why") == {"default": "close", "known": "$edge_why_upgrade"}
    first = gate(policy(**OPEN))[0]
    assert print_tree([first]) == "if ($edge_verdict = close) {\n    return 444;\n}\n"


def test_a_gate_has_an_answer_for_each_opt_in_and_refuses_the_rest() -> None:
    answers = [answer.body[0].words[0] for answer in gate(policy(**OPEN)) if answer.body and not isinstance(answer.body[0], Row)]
    assert answers == ["444", "204", "426", "403"]
    assert len(gate(policy())) == 2


def test_what_has_no_location_is_refused() -> None:
    printed = print_tree([everything_else(policy())])
    assert printed.rstrip().endswith("return 403;\n}")
    assert "426" not in printed


def test_a_stranger_is_closed_and_misdirected_over_http2() -> None:
    assert "421" not in print_tree([nobody(policy())])
    assert "if ($server_protocol = HTTP/2.0) {\n        return 421;" in print_tree([nobody(policy(tls=TLS))])
