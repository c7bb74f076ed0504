"""What reaches the relay of a request, and what reaches the client of the relay's answer."""

import json

import pytest

from tests.edge.raw import ask
from tests.edge.recorder import answer
from tests.edge.running import Edge
from tests.edge.truth import BODY, CHAT, request

FORGED = """
X-Real-IP: 6.6.6.6
X-Forwarded-For: 6.6.6.6, 127.0.0.1
Forwarded: for=6.6.6.6
CF-Connecting-IP: 6.6.6.6
True-Client-IP: 6.6.6.6
X-Forwarded-Host: evil
X-Forwarded-Proto: gopher
X-Original-URL: /admin
X-Request-Id: mine
X-Edge-Start: 1
Via: 1.1 evil
Cookie: a=b
Proxy: http://evil
Range: bytes=0-1
Origin: https://evil
Referer: https://evil
Accept-Encoding: gzip, br
Connection: close, Authorization
Keep-Alive: timeout=1
TE: trailers
Trailer: X
Proxy-Authorization: Basic x
X-Accel-Redirect: /x
""".strip().splitlines()


def test_a_request_reaches_the_relay_as_the_list_says_and_not_otherwise(edge: Edge) -> None:
    kept = (
        "Authorization: Bearer sk-1",
        "Content-Type: application/json",
        "Accept: */*",
        "User-Agent: test/1",
        "X-Stainless-Retry-Count: 1",
    )
    edge.recorder.seen.clear()
    reply = ask(edge.port, _with_port(edge, request(CHAT, *kept, *FORGED)))
    (seen,) = edge.recorder.seen
    assert seen.line == f"POST {CHAT} HTTP/1.1"
    assert seen.body == BODY
    ours = {
        "Host": "llm.example.com",
        "X-Real-IP": "127.0.0.1",
        "X-Forwarded-For": "127.0.0.1",
        "X-Request-Id": reply.header("X-Request-Id")[0],
        "Content-Length": str(len(BODY)),
    }
    theirs = dict(line.split(": ", 1) for line in kept)
    headers = dict(seen.headers)
    assert float(headers.pop("X-Edge-Start")) > 1.7e9
    assert headers == {**ours, **theirs}
    assert len(seen.headers) == len(headers) + 1, "a header twice"


def test_headers_of_the_vendors_sdks_pass_under_their_names(edge: Edge) -> None:
    sent = {
        "X-Api-Key": "sk-2",
        "Anthropic-Version": "2023-06-01",
        "Anthropic-Beta": "a,b",
        "OpenAI-Organization": "org",
        "OpenAI-Project": "p",
        "OpenAI-Beta": "assistants=v2",
        "Idempotency-Key": "k",
        "X-Client-Request-Id": "c",
        "Traceparent": "00-1-2-01",
        "Content-Encoding": "gzip",
    }
    edge.recorder.seen.clear()
    ask(edge.port, _with_port(edge, request(CHAT, *(f"{name}: {value}" for name, value in sent.items()))))
    (seen,) = edge.recorder.seen
    assert {name: seen.header(name) for name in sent} == {name: [value] for name, value in sent.items()}


def test_a_chunked_request_arrives_with_a_length(edge: Edge) -> None:
    edge.recorder.seen.clear()
    ask(edge.port, _with_port(edge, request(CHAT, "Transfer-Encoding: chunked", body=b"d\r\n" + BODY + b"\r\n0\r\n\r\n", length=False)))
    (seen,) = edge.recorder.seen
    assert (seen.header("Content-Length"), seen.header("Transfer-Encoding"), seen.body) == ([str(len(BODY))], [], BODY)


def test_a_credential_that_was_sent_twice_never_arrives_as_two_headers(edge: Edge) -> None:
    edge.recorder.seen.clear()
    ask(edge.port, _with_port(edge, request(CHAT, "Authorization: Bearer a", "Authorization: Bearer b")))
    assert all(len(seen.header("Authorization")) == 1 for seen in edge.recorder.seen)


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "402 Payment Required", "404 Not Found", "429 Too Many Requests", "503 Busy"]
)
def test_the_relays_own_errors_pass_untouched(edge: Edge, status: str) -> None:
    body = b'{"error":{"message":"mine","type":"t","param":null,"code":"c"}}'
    with edge.recorder.answers(answer(status, body, headers=((b"Retry-After", b"7"), (b"X-Should-Retry", b"true")))):
        reply = ask(edge.port, _with_port(edge, request()))
    assert (reply.status, reply.body) == (int(status[:3]), body)
    assert (reply.header("Retry-After"), reply.header("X-Should-Retry")) == (["7"], ["true"])


def test_what_a_provider_says_about_itself_does_not_get_out(edge: Edge) -> None:
    names = (
        b"X-Powered-By",
        b"Server",
        b"Via",
        b"Set-Cookie",
        b"Alt-Svc",
        b"Access-Control-Allow-Origin",
        b"Access-Control-Allow-Credentials",
    )
    with edge.recorder.answers(
        answer(headers=(*((name, b"provider") for name in names), (b"X-Request-Id", b"provider"), (b"X-Other", b"kept")))
    ):
        reply = ask(edge.port, _with_port(edge, request()))
        (seen,) = edge.recorder.seen
    assert b"provider" not in reply.raw
    assert reply.header("Server") == ["nginx"]
    assert reply.header("X-Other") == ["kept"]
    assert reply.header("X-Request-Id") == seen.header("X-Request-Id")


def test_a_provider_can_not_steer_the_edge(edge: Edge) -> None:
    steering = (
        (b"X-Accel-Redirect", b"/v1/embeddings"),
        (b"X-Accel-Buffering", b"yes"),
        (b"X-Accel-Limit-Rate", b"1"),
        (b"X-Accel-Charset", b"koi8-r"),
    )
    with edge.recorder.answers(answer(headers=steering)):
        reply = ask(edge.port, _with_port(edge, request()))
        assert [seen.line for seen in edge.recorder.seen] == [f"POST {CHAT} HTTP/1.1"]
    assert json.loads(reply.body) == {"ok": True}
    assert reply.header("X-Accel-Buffering") == ["no"]
    assert not [name for name, _ in reply.headers if name.startswith("X-Accel") and name != "X-Accel-Buffering"]
    assert reply.header("Content-Type") == ["application/json"]


def test_an_answer_with_many_headers_is_not_refused(edge: Edge) -> None:
    many = tuple((b"X-Filler-%d" % at, b"v" * 1000) for at in range(10))
    with edge.recorder.answers(answer(headers=many)):
        assert ask(edge.port, _with_port(edge, request())).status == 200


def _with_port(edge: Edge, data: bytes) -> bytes:
    return data.replace(b"HOST", f"llm.example.com:{edge.port}".encode())
