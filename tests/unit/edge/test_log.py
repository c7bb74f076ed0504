"""The log's format: JSON whose values are all quoted, reasons from a closed list, no secret among its variables."""

import json

from relay.edge.conf import plain
from relay.edge.errors import DENIALS
from relay.edge.log import FIELDS, access_log, maps
from relay.edge.rules_exposure import SECRETS
from relay.edge.scope import rows, words
from tests.unit.edge.edges import OPEN, TLS, policy


def _format(**edge: object) -> str:
    return plain(access_log(policy(**edge))[0].words[-1])


def test_a_line_is_json_with_every_value_quoted() -> None:
    written = json.loads(_format())
    assert written == {name: f"${variable}" for name, variable in FIELDS}
    assert json.loads(_format(tls=TLS)).keys() - written.keys() == {"tls"}


def test_a_line_is_written_in_blocks_and_soon() -> None:
    assert words(access_log(policy())[1]) == ("logs/access.log", "edge", "buffer=64k", "flush=1s")


def test_no_variable_can_hold_a_secret() -> None:
    assert [name for name in SECRETS if name in _format(tls=TLS)] == []


def test_a_reason_is_empty_when_the_relay_answered() -> None:
    assert rows(maps(policy()), "edge_reason") == {"default": "$edge_cut", "": "$edge_own_reason", "-": "$edge_own_reason"}
    assert rows(maps(policy()), "edge_cut") == {"default": "", "": "cut"}


def test_each_refusal_has_a_reason_of_one_word() -> None:
    reasons = {*rows(maps(policy()), "edge_own_reason").values(), *DENIALS} - {"", "$edge_refused", "$edge_limit"}
    assert [reason for reason in reasons if not reason.replace("_", "").isalpha()] == []


def test_a_refusal_in_clear_is_told_apart_where_tls_is_spoken() -> None:
    assert rows(maps(policy(tls=TLS)), "edge_refused") == {"default": "cleartext", "https": "$edge_denial"}
    assert rows(maps(policy()), "edge_refused") == {"default": "cleartext", "http": "$edge_denial"}


def test_a_route_is_a_published_path_or_empty() -> None:
    routes = rows(maps(policy(**OPEN)), "edge_route")
    assert routes["default"] == ""
    assert set(routes.values()) - {""} == set(policy(**OPEN).paths)
