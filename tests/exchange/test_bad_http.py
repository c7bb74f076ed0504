"""What is no HTTP, or HTTP that two readers could read in two ways, is refused; older and rarer habits are served."""

import pytest

from tests.exchange.asking import BODY, CHAT, GOOD, in_chunks, is_usable_or_closed, judge, posted, raw, sized
from tests.exchange.running import Running
from tests.support.builders import KEY
from tests.support.caller import Reply, chat, request
from tests.support.loops import both_loops
from tests.support.upstream import completion

CHUNKED = "Transfer-Encoding: chunked"


NOT_HTTP = {
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "garbage": b"\x00\x01\x02garbage\r\n\r\n",
    "an endless method": b"A" * 100_000,
    "HTTP/3.0": sized(line="POST /v1/chat/completions HTTP/3.0"),
    "HTTP/1.2": sized(line="POST /v1/chat/completions HTTP/1.2"),
    "http/1.1": sized(line="POST /v1/chat/completions http/1.1"),
    "a path of bytes": sized(line="POST /v1/\xff\xfe HTTP/1.1"),
    "NUL in the method": sized(line="PO\x00ST /v1/chat/completions HTTP/1.1"),
    "a long query": raw("POST /v1/chat/completions?" + "a" * 50_000 + " HTTP/1.1", "Host: a"),
    "no host": raw(CHAT, f"Authorization: Bearer {KEY}", "Content-Length: 0"),
    "two hosts": sized("Host: b"),
    "two lengths": sized("Content-Length: 3"),
    "the same length twice": sized(f"Content-Length: {len(BODY)}"),
    "a length beside chunks": sized(CHUNKED),
    "chunked twice": posted(CHUNKED, CHUNKED, body=in_chunks(BODY)),
    "identity": posted("Transfer-Encoding: identity", body=BODY),
    "chunked and gzip": posted("Transfer-Encoding: chunked, gzip", body=in_chunks(BODY)),
    "a blank before the colon": posted("Transfer-Encoding : chunked", body=in_chunks(BODY)),
    "a negative length": posted("Content-Length: -1"),
    "a signed length": posted("Content-Length: +5", body=b"hello"),
    "a hexadecimal length": posted("Content-Length: 0x5", body=b"hello"),
    "a bad chunk size": posted(CHUNKED, body=b"zz\r\n"),
    "a bad chunk end": posted(CHUNKED, body=b"5\r\nhelloXX"),
    "a negative chunk": posted(CHUNKED, body=b"-5\r\nhello\r\n"),
    "a folded line": sized("X-A: a\r\n b"),
    "a blank before a name": sized(" X-A: b"),
    "a blank in a name": sized("X A: b"),
    "NUL in a value": sized("X-A: a\x00b"),
    "a bare line feed in a value": sized("X-A: a\nX-B: c"),
    "bare line feeds": sized().replace(b"\r\n", b"\n"),
    "a long header": sized("X-A: " + "a" * 100_000),
    "many headers": sized(*["X-A: a"] * 1000),
}


@both_loops
@pytest.mark.parametrize("name", NOT_HTTP)
async def test_what_is_not_http_gets_an_error_object_and_is_closed(relay: Running, name: str) -> None:
    caller = await relay.caller()
    reply = await caller.ask(NOT_HTTP[name])
    judge(reply)
    assert reply.status == 400
    assert reply.code in {"malformed_http", "invalid_request_body"}
    assert await caller.is_closed()


async def test_a_request_hidden_in_another_is_never_run(relay: Running) -> None:
    hidden = GOOD
    for asked in (
        posted("Content-Length: 4", CHUNKED, body=b"0\r\n\r\n" + hidden),
        posted(CHUNKED, f"Content-Length: {len(hidden) + 5}", body=b"0\r\n\r\n" + hidden),
        posted("Transfer-Encoding: xchunked", "Content-Length: 4", body=b"0\r\n\r\n" + hidden),
        posted("Content-Length: 0", f"Content-Length: {len(hidden)}", body=hidden),
        posted("X: y\r\n\tContent-Length: 0", f"Content-Length: {len(hidden)}", body=hidden),
    ):
        caller = await relay.caller()
        judge(await caller.ask(asked))
        assert await caller.is_closed()
    assert relay.observer.reports == []


async def test_garbage_behind_a_good_request_closes_the_connection(relay: Running) -> None:
    caller = await relay.caller()
    assert (await caller.ask(GOOD)).status == 200
    judge(await caller.ask(b"\x00\x01garbage\r\n\r\n"))
    assert await caller.is_closed()


async def test_a_refused_tunnel_leaves_the_connection_usable(relay: Running) -> None:
    caller = await relay.caller()
    reply = await caller.ask(raw("CONNECT upstream.test:443 HTTP/1.1", "Host: upstream.test"))
    judge(reply)
    assert reply.status == 404
    assert await is_usable_or_closed(caller)


# --- older and other habits


@pytest.mark.parametrize(("field", "keeps"), [("Connection: close", False), ("Connection: keep-alive", True)])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_connection_is_kept_as_the_caller_wishes(relay: Running, version: str, field: str, keeps: bool) -> None:  # noqa: FBT001
    caller = await relay.caller()
    for asked in (request(chat(), field), request(chat(model="unknown"), field)):
        caller = await relay.caller()
        reply = await caller.ask(asked.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        assert reply.status in {200, 404}
        if keeps:
            assert (await caller.ask(GOOD)).status == 200
        else:
            assert await caller.is_closed()


@both_loops
async def test_a_caller_who_asks_whether_to_go_on_is_told_to(relay: Running) -> None:
    caller = await relay.caller()
    assert await caller.ask(posted("Expect: 100-continue", f"Content-Length: {len(BODY)}")) == Reply(100, (), b"", is_whole=True)
    assert (await caller.ask(BODY)).json == completion()
    assert (await caller.ask(GOOD)).json == completion()


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(b"", "Expect: 100-continue", "Content-Length: 9", key=""), 401),
        (posted("Expect: 100-continue", "Content-Length: 10000000000"), 413),
        (posted("Expect: 100-continue", "Content-Length: 9", line="POST /v1/nothing HTTP/1.1"), 404),
    ],
)
async def test_a_caller_who_asks_whether_to_go_on_is_told_at_once_if_not(relay: Running, asked: bytes, status: int) -> None:
    caller = await relay.caller()
    reply = await caller.ask(asked)
    judge(reply)
    assert reply.status == status
    assert reply.header("Connection") == "close"


@both_loops
async def test_requests_sent_ahead_are_answered_in_order_the_bad_ones_too(relay: Running) -> None:
    caller = await relay.caller()
    asked = [GOOD, request(b"{"), GOOD, request(chat(model="unknown")), request(b"", method="GET"), GOOD]
    await caller.send(b"".join(asked))
    assert [(await caller.reply()).status for _ in asked] == [200, 400, 200, 404, 405, 200]
