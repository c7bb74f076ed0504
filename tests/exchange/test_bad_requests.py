"""Bad requests at the relay's own port: each gets an error object, reaches no upstream, and leaves its connection usable or closed."""

import gzip

import pytest

from tests.exchange.asking import BODY, CHAT, GOOD, in_chunks, is_usable_or_closed, judge, posted, raw, sized
from tests.exchange.running import BODY_LIMIT, Running
from tests.support.builders import KEY, MODEL
from tests.support.caller import chat, request
from tests.support.loops import both_loops
from tests.support.upstream import completion

CHUNKED = "Transfer-Encoding: chunked"
DEEP = b"[" * 20_000 + b"]" * 20_000


# --- bodies


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_request_body", None),
        (b"{", "invalid_request_body", None),
        (b"\x00", "invalid_request_body", None),
        (b'{"model": "a\x00b"}', "invalid_request_body", None),
        (b'{"model": "\xff\xfe"}', "invalid_request_body", None),
        (b'{"model": "\\ud800"}', "invalid_request_body", None),
        (b"\xef\xbb\xbf{}", "invalid_request_body", None),
        (BODY + b"x", "invalid_request_body", None),
        (BODY[:-1], "invalid_request_body", None),
        (BODY.replace(b"false", b"NaN"), "invalid_request_body", None),
        (DEEP, "invalid_request_body", None),
        (b'{"model": ' + DEEP + b"}", "invalid_request_body", None),
        (b"[]", "invalid_request_body", None),
        (b"null", "invalid_request_body", None),
        (b'"model"', "invalid_request_body", None),
        ({}, "missing_required_parameter", "model"),
        ({"model": None}, "missing_required_parameter", "model"),
        ({"model": 7}, "invalid_request_body", "model"),
        ({"model": ""}, "invalid_request_body", "model"),
        ({"model": "m" * 10_000}, "invalid_request_body", "model"),
        ({"model": MODEL}, "missing_required_parameter", "messages"),
        ({"model": MODEL, "input": "x"}, "missing_required_parameter", "messages"),
        ({"model": MODEL, "messages": {}}, "invalid_request_body", "messages"),
        ({"model": MODEL, "messages": []}, "invalid_request_body", "messages"),
        ({"model": MODEL, "messages": ["x"]}, "invalid_request_body", "messages"),
        (chat(stream="yes"), "invalid_request_body", "stream"),  # type: ignore[arg-type]
        (chat(max_tokens=-1), "invalid_request_body", "max_tokens"),
        (chat(max_tokens=1.5), "invalid_request_body", "max_tokens"),
        (chat(max_completion_tokens=10**18), "invalid_request_body", "max_completion_tokens"),
        (chat(n=True), "invalid_request_body", "n"),
    ],
)
async def test_a_body_that_is_no_chat_request_is_a_400(relay: Running, body: object, code: str, param: str | None) -> None:
    caller = await relay.caller()
    for _ in range(2):
        reply = await caller.ask(request(body))
        judge(reply)
        assert (reply.status, reply.code, reply.error["param"]) == (400, code, param)
    assert (await caller.ask(GOOD)).json == completion()


async def test_an_unknown_model_is_a_404(relay: Running) -> None:
    caller = await relay.caller()
    reply = await caller.ask(request(chat(model="nobody's")))
    judge(reply)
    assert (reply.status, reply.code, reply.error["param"]) == (404, "model_not_found", "model")
    assert (await caller.ask(GOOD)).status == 200


NOT_READ = {
    "text": (sized().replace(b"application/json", b"text/plain"), 415, "unsupported_media_type"),
    "no type at all": (sized().replace(b"application/json", b"json"), 415, "unsupported_media_type"),
    "a form": (sized().replace(b"application/json", b"multipart/form-data; boundary=x"), 415, "unsupported_media_type"),
    "gzip bomb": (request(gzip.compress(bytes(10 << 20)), "Content-Encoding: gzip"), 415, "unsupported_media_type"),
    "brotli": (request(b"{}", "Content-Encoding: br"), 415, "unsupported_media_type"),
    "10 GB announced": (posted("Content-Length: 10000000000"), 413, "request_too_large"),
    "one byte too long": (sized(body=b" " * (BODY_LIMIT + 1)), 413, "request_too_large"),
    "one byte too long in chunks": (posted(CHUNKED, body=in_chunks(b" " * (BODY_LIMIT + 1))), 413, "request_too_large"),
    "a flood of chunks": (posted(CHUNKED, body=b"%x\r\n" % (1 << 30) + b" " * (1 << 20)), 413, "request_too_large"),
    "one byte missing": (posted(f"Content-Length: {len(BODY)}", body=BODY[:-1]), 408, "request_timeout"),
    "last chunk missing": (posted(CHUNKED, body=in_chunks(BODY)[:-5]), 408, "request_timeout"),
}


@both_loops
@pytest.mark.parametrize("name", NOT_READ)
async def test_a_body_that_is_not_read_is_told_why(relay: Running, name: str) -> None:
    asked, status, code = NOT_READ[name]
    caller = await relay.caller()
    reply = await caller.ask(asked)
    judge(reply)
    assert (reply.status, reply.code) == (status, code)
    assert relay.observer.refusals == [("/v1/chat/completions", status, code)]
    assert relay.observer.reports == []
    if reply.header("Connection") != "close":
        assert await is_usable_or_closed(caller)


async def test_a_body_that_drips_is_timed_as_a_whole(relay: Running) -> None:
    caller = await relay.caller()
    await caller.send(posted(f"Content-Length: {len(BODY)}"), *(BODY[at : at + 1] for at in range(20)), pause_s=0.01)
    assert (await caller.reply()).status == 408


async def test_a_body_of_just_the_limit_is_read(relay: Running) -> None:
    body = BODY + b" " * (BODY_LIMIT - len(BODY))
    for asked in (sized(body=body), posted(CHUNKED, body=in_chunks(body))):
        assert (await (await relay.caller()).ask(asked)).status == 200


UNUSUAL = {
    "in chunks": posted(CHUNKED, body=in_chunks(BODY)),
    "in chunks with an extension": posted(CHUNKED, body=b"%x;a=b\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"),
    "no type": raw(CHAT, "Host: a", f"Authorization: Bearer {KEY}", f"Content-Length: {len(BODY)}", body=BODY),
    "type with a parameter": sized().replace(b"application/json", b"Application/JSON; charset=utf-8"),
    "identity coding": sized("Content-Encoding: identity"),
    "odd expectation": sized("Expect: \xff\xfe"),
    "HTTP/2 upgrade": sized("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "websocket upgrade": sized("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"),
    "empty line before": b"\r\n\r\n" + sized(),
}


@pytest.mark.parametrize("name", UNUSUAL)
async def test_what_is_only_unusual_is_served(relay: Running, name: str) -> None:
    caller = await relay.caller()
    for _ in range(2):
        reply = await caller.ask(UNUSUAL[name])
        assert (reply.status, reply.json) == (200, completion())


# --- keys


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ([], 401, "missing_api_key"),
        (["Authorization: Bearer"], 401, "missing_api_key"),
        ([f"Authorization: Basic {KEY}"], 401, "missing_api_key"),
        ([f"Authorization: {KEY}"], 401, "missing_api_key"),
        (["Authorization: Bearer sk-wrong"], 401, "invalid_api_key"),
        (["x-api-key: sk-wrong"], 401, "invalid_api_key"),
        (["Authorization: Bearer sk-\xff\xfe"], 401, "invalid_api_key"),
        (["Authorization: Bearer " + "x" * 9000], 401, "invalid_api_key"),
        ([f"Authorization: Bearer {KEY}", "Authorization: Bearer sk-other"], 400, "ambiguous_credentials"),
        ([f"Authorization: Bearer {KEY}", "x-api-key: sk-other"], 400, "ambiguous_credentials"),
        ([f"x-api-key: {KEY}", "x-api-key: sk-other"], 400, "ambiguous_credentials"),
    ],
)
async def test_a_request_without_one_good_key_is_refused(relay: Running, fields: list[str], status: int, code: str) -> None:
    for asked in (request(chat(), *fields, key=""), request(b"", *fields, key="", method="GET", path="/v1/models")):
        caller = await relay.caller()
        reply = await caller.ask(asked)
        judge(reply)
        assert (reply.status, reply.code) == (status, code)
        assert await is_usable_or_closed(caller)


@pytest.mark.parametrize(
    "fields", [[f"x-api-key: {KEY}"], [f"X-API-KEY:{KEY}"], [f"authorization: bearer  {KEY}"], [f"Authorization: Bearer {KEY}"] * 2]
)
async def test_one_key_may_be_said_in_several_ways(relay: Running, fields: list[str]) -> None:
    assert (await (await relay.caller()).ask(request(chat(), *fields, key=""))).status == 200


async def test_a_key_in_the_query_is_none(relay: Running) -> None:
    reply = await (await relay.caller()).ask(request(chat(), key="", path=f"/v1/chat/completions?api_key={KEY}"))
    assert (reply.status, reply.code) == (401, "missing_api_key")


# --- paths and methods


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_any_other_method_is_a_405(relay: Running, method: str) -> None:
    caller = await relay.caller()
    await caller.send(request(b"", method=method))
    reply = await caller.reply(to_head=method == "HEAD")
    assert (reply.status, reply.header("Allow"), reply.header("Content-Type")) == (405, "POST", "application/json")
    if method != "HEAD":
        judge(reply)
        assert reply.code == "method_not_allowed_here"
    assert (await caller.ask(GOOD)).status == 200


async def test_models_are_for_get_alone(relay: Running) -> None:
    caller = await relay.caller()
    reply = await caller.ask(request(chat(), path="/v1/models"))
    assert (reply.status, reply.header("Allow")) == (405, "GET")
    reply = await caller.ask(request(b"", path="/v1/models", method="GET"))
    assert reply.json == {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1700000000, "owned_by": "postgate"}]}


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v1", "/v1/", "//v1/chat/completions", "/v1/chat/completions/", "/V1/chat/completions", "/v1/chat%2fcompletions"),
        *("/v1/../v1/models", "/v1/chat/completions%00", "/v1evil", "/metrics", "/healthz", "/admin", "/" + "x" * 9000),
        "http://relay.test/v1/chat/completions",
    ],
)
async def test_any_other_path_is_a_404(relay: Running, path: str) -> None:
    caller = await relay.caller()
    reply = await caller.ask(request(chat(), path=path))
    judge(reply)
    assert (reply.status, reply.code) == (404, "unknown_path")
    assert path not in str(reply.error["message"]) or path in "/v1/*"
    assert await is_usable_or_closed(caller)
