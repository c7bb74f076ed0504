"""The two lists of headers, and that every answer carries the whole set."""

from relay.edge.conf import Var
from relay.edge.headers import FROM_CLIENT, NEVER_TO_CLIENT, STEERING, from_relay, maps, to_client, to_relay
from relay.edge.scope import rows, words
from tests.unit.edge.edges import OPEN, TLS, policy

CLAIMS = (
    "forward",
    "real-ip",
    "client-ip",
    "connecting-ip",
    "cookie",
    "range",
    "origin",
    "referer",
    "accel",
    "encoding",
    "host",
    "proxy",
    "upgrade",
    "te",
)


def test_nothing_on_the_list_claims_an_identity_or_changes_how_an_answer_is_sent() -> None:
    passed = [name.lower() for name in FROM_CLIENT]
    assert len(set(passed)) == len(passed)
    assert [name for name in passed if name in CLAIMS or any(claim in name for claim in CLAIMS if claim not in {"te", "encoding"})] == []
    assert [name for name in passed if "encoding" in name] == ["content-encoding"]


def test_our_own_headers_come_from_the_connection_and_not_from_the_client() -> None:
    sent = {words(line)[0]: words(line)[1] for line in to_relay(policy()) if line.name == "proxy_set_header"}
    assert (sent["Host"], sent["Connection"]) == ("llm.example.com", "")
    assert (sent["X-Real-IP"], sent["X-Forwarded-For"]) == ("$remote_addr", "$remote_addr")
    assert (sent["X-Request-Id"], sent["X-Edge-Start"]) == ("$request_id", "$msec")
    assert sent["X-Api-Key"] == "$http_x_api_key"
    assert len(sent) == 6 + len(FROM_CLIENT)


def test_what_would_steer_nginx_is_ignored_and_what_is_not_for_the_client_is_hidden() -> None:
    lines = from_relay()
    assert words(lines[0]) == STEERING
    assert [words(line)[0] for line in lines[1:]] == list(NEVER_TO_CLIENT)


def _sent(**edge: object) -> dict[str, str]:
    return {words(line)[0]: words(line)[1] for line in to_client(policy(**edge))}


def test_every_answer_has_an_id_and_asks_outer_proxies_not_to_buffer() -> None:
    assert _sent() == {"X-Request-Id": "$request_id", "X-Accel-Buffering": "no"}
    assert all(words(line)[-1] == "always" for line in to_client(policy(**OPEN, tls=TLS)))


def test_tls_and_web_origins_add_theirs() -> None:
    assert _sent(tls=TLS)["Strict-Transport-Security"] == "$edge_hsts"
    assert rows(maps(policy(tls=TLS)), "edge_hsts") == {"default": "", "on": "max-age=63072000"}
    assert maps(policy()) == ()
    assert _sent(**OPEN)["Access-Control-Allow-Origin"] == "$edge_origin"
    assert _sent(**OPEN)["Vary"] == "Origin"


def test_more_headers_come_after_the_set_and_a_reason_before_it() -> None:
    lines = to_client(policy(), ("Retry-After", "1"), ("X-A", Var("b")), why="because")
    assert [words(line)[0] for line in lines] == ["X-Request-Id", "X-Accel-Buffering", "Retry-After", "X-A"]
    assert [line.why for line in lines] == ["because", "", "", ""]
