"""What an operator can open, one setting each, and that nothing else opens with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.raw import Reply, ask
from tests.edge.running import DOMAIN, Edge, running
from tests.edge.truth import CHAT, request

ORIGIN = "https://chat.example.com"
SDK_HEADERS = (
    "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count"
)
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


@pytest.fixture(scope="module")
def opened(nginx: Path) -> Iterator[Edge]:
    """An edge with every opt-in."""
    with running(
        nginx, {"allow_get_models": True, "cors_origins": [ORIGIN, "http://localhost:3000"], "upgrade_426": True, "http10": True}
    ) as edge:
        yield edge


def _ask(edge: Edge, data: bytes) -> Reply:
    edge.recorder.seen.clear()
    return ask(edge.port, data.replace(b"HOST", f"{DOMAIN}:{edge.port}".encode()))


def _get(path: str, *lines: str, method: str = "GET") -> bytes:
    return request(path, *lines, method=method, body=b"", length=False)


def _preflight(path: str = CHAT, *, origin: str = ORIGIN, method: str = "POST", headers: str = SDK_HEADERS) -> bytes:
    asked = (f"Origin: {origin}", f"Access-Control-Request-Method: {method}", f"Access-Control-Request-Headers: {headers}")
    return _get(path, *asked, method="OPTIONS")


def test_the_model_list_is_open_to_get_and_to_nothing_else(opened: Edge, edge: Edge) -> None:
    assert _ask(opened, _get("/v1/models")).status == 200
    assert [seen.line for seen in opened.recorder.seen] == ["GET /v1/models HTTP/1.1"]
    for data in (
        _get("/v1/models", method="HEAD"),
        _get("/v1/models/x"),
        _get("/v1/models?a=b"),
        _get("/v1/models/"),
        request("/v1/models"),
        _get(CHAT),
    ):
        assert _ask(opened, data).status == 403
        assert opened.recorder.seen == []
    assert _ask(edge, _get("/v1/models")).status == 403


def test_a_get_that_brings_a_large_body_is_refused(opened: Edge) -> None:
    assert _ask(opened, request("/v1/models", method="GET", body=b"x" * 2000)).error["code"] == "request_too_large"


def test_a_preflight_of_a_listed_origin_is_answered_without_a_key(opened: Edge) -> None:
    reply = _ask(opened, _preflight())
    assert (reply.status, opened.recorder.seen) == (204, [])
    assert reply.header("Access-Control-Allow-Origin") == [ORIGIN]
    assert reply.header("Access-Control-Allow-Methods") == ["POST"]
    assert reply.header("Access-Control-Allow-Headers") == [SDK_HEADERS]
    assert reply.header("Access-Control-Max-Age") == ["600"]
    assert reply.header("Vary") == ["Origin"]
    assert reply.header("Access-Control-Allow-Credentials") == []
    assert _ask(opened, _preflight("/v1/models", method="GET")).header("Access-Control-Allow-Methods") == ["GET"]


@pytest.mark.parametrize(
    "data",
    [
        _preflight(origin="https://evil.example"),
        _preflight(origin="null"),
        _preflight(origin=f"{ORIGIN}.evil"),
        _preflight(method="DELETE"),
        _preflight("/v1/models", method="POST"),
        _preflight("/v1/files"),
        _preflight("/metrics"),
        _get(CHAT, "Origin: " + ORIGIN, method="OPTIONS"),
    ],
    ids=["stranger", "null", "suffix", "DELETE", "POST of the model list", "unpublished path", "metrics", "not a preflight"],
)
def test_any_other_preflight_is_refused(opened: Edge, data: bytes) -> None:
    reply = _ask(opened, data)
    assert (reply.status, reply.error["code"], opened.recorder.seen) == (403, "origin_not_allowed", [])
    assert reply.header("Access-Control-Allow-Methods") == []


@pytest.mark.parametrize("headers", ["x-a: b", "a b", "<script>", "x" * 200, "é"])
def test_only_a_list_of_header_names_is_reflected(opened: Edge, headers: str) -> None:
    reply = _ask(opened, _preflight(headers=headers))
    assert (reply.status, reply.header("Access-Control-Allow-Headers")) == (204, [])


def test_a_page_can_read_answers_and_errors_of_every_kind(opened: Edge) -> None:
    passed = _ask(opened, request(CHAT, f"Origin: {ORIGIN}"))
    refused = _ask(opened, _get("/v1/files", f"Origin: {ORIGIN}"))
    malformed = _ask(opened, request(CHAT, f"Origin: {ORIGIN}", "Content-Length: x", length=False))
    assert [reply.status for reply in (passed, refused, malformed)] == [200, 403, 400]
    for reply in (passed, refused, malformed):
        assert reply.header("Access-Control-Allow-Origin") == [ORIGIN]
        assert reply.header("Access-Control-Expose-Headers") == ["X-Request-Id, Retry-After, X-Should-Retry"]
        assert reply.header("Access-Control-Allow-Methods") == []
        assert "Origin" in reply.header("Vary")


def test_a_page_of_another_origin_can_read_nothing(opened: Edge) -> None:
    reply = _ask(opened, request(CHAT, "Origin: https://evil.example"))
    assert (reply.header("Access-Control-Allow-Origin"), reply.header("Vary")) == ([], ["Origin"])


def test_a_websocket_is_told_426_and_what_would_do(opened: Edge) -> None:
    for path in ("/v1/responses", CHAT):
        reply = _ask(opened, _get(path, *WEBSOCKET))
        assert (reply.status, reply.error["code"]) == (426, "upgrade_not_supported")
        assert reply.header("Upgrade") == ["HTTP/1.1"]
        assert "upgrade" in ", ".join(reply.header("Connection")).lower()
        assert opened.recorder.seen == []


def test_another_upgrade_is_still_a_403(opened: Edge) -> None:
    for protocol in ("h2c", "TLS/1.0", "websocket, h2c"):
        assert _ask(opened, request(CHAT, "Connection: Upgrade", f"Upgrade: {protocol}")).error["code"] == "upgrade_not_supported"
        assert opened.recorder.seen == []


def test_http_10_is_served_when_an_outer_proxy_needs_it(opened: Edge) -> None:
    reply = _ask(opened, request(version=" HTTP/1.0"))
    assert (reply.status, len(opened.recorder.seen)) == (200, 1)
    assert _ask(opened, request("/v1/files", version=" HTTP/1.0")).error["code"] == "unknown_path"
    assert _ask(opened, request(version=" HTTP/1.0", host="evil.example")).status == 0


def test_an_outer_proxys_word_counts_from_its_networks_alone(nginx: Path) -> None:
    said = request(CHAT, "X-Forwarded-For: 6.6.6.6, 203.0.113.9")
    with running(nginx, {"real_ip_from": ["127.0.0.0/8"]}) as trusting:
        assert _ask(trusting, said).status == 200
        (seen,) = trusting.recorder.seen
        assert (seen.header("X-Real-IP"), seen.header("X-Forwarded-For")) == (["203.0.113.9"], ["203.0.113.9"])
    with running(nginx, {"real_ip_from": ["10.0.0.0/8"]}) as wary:
        assert _ask(wary, said).status == 200
        (seen,) = wary.recorder.seen
        assert (seen.header("X-Real-IP"), seen.header("X-Forwarded-For")) == (["127.0.0.1"], ["127.0.0.1"])
