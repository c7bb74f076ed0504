"""Whatever happens becomes an OpenAI error object, says nothing that it should not, and is never written into a stream."""

import asyncio
import json
import logging

import pytest
from aiohttp import web

from relay.domain.errors import (
    Draining,
    Fault,
    InvalidBody,
    InvalidKey,
    NoChannel,
    UpstreamFirstByteTimeout,
    UpstreamRateLimited,
    UpstreamVerdict,
)
from relay.ports import ClientGone
from relay.web.boundary import REQUEST_ID, fault_response, parser_answers, respond
from relay.web.stream import TAKEN
from tests.support.caller import NOTHING, request
from tests.unit.web.serving import serving

ASK = request(b"{}")


def body_of(response: web.Response) -> dict[str, object]:
    assert isinstance(response.body, bytes)
    error = json.loads(response.body)["error"]
    assert isinstance(error, dict)
    return error


def test_every_answer_has_the_same_headers() -> None:
    response = respond(200, b"{}", "id-1", (("X-More", "more"),))
    assert dict(response.headers) == {
        "Content-Type": "application/json",
        "X-Request-Id": "id-1",
        "Cache-Control": "no-store",
        "Server": "postgate",
        "X-More": "more",
    }


@pytest.mark.parametrize(
    ("fault", "status", "headers"),
    [
        (InvalidBody("x", param="model"), 400, {"X-Should-Retry": "false"}),
        (InvalidKey("x"), 401, {"X-Should-Retry": "false"}),
        (NoChannel("x", retry_after_s=5), 503, {"Retry-After": "5"}),
        (UpstreamRateLimited("x", retry_after_s=0.2), 429, {"Retry-After": "1"}),
        (UpstreamRateLimited("x", retry_after_s=2.1), 429, {"Retry-After": "3"}),
        (UpstreamFirstByteTimeout("x"), 504, {"X-Should-Retry": "false"}),
    ],
)
def test_a_fault_is_its_status_its_object_and_what_clients_read_beside_it(fault: Fault, status: int, headers: dict[str, str]) -> None:
    response = fault_response(fault, "id-1")
    assert response.status == status
    assert body_of(response) == {"message": "x", "type": fault.type, "param": fault.param, "code": fault.code}
    assert {name: value for name, value in response.headers.items() if name in {"Retry-After", "X-Should-Retry"}} == headers


def test_an_upstreams_verdict_passes_with_its_status_and_body() -> None:
    response = fault_response(UpstreamVerdict("x", upstream_status=422, body=b'{"error": {"message": "theirs"}}'), "id-1")
    assert (response.status, body_of(response)) == (422, {"message": "theirs"})


@pytest.mark.parametrize(
    ("status", "answered", "code"), [(400, 400, "malformed_http"), (413, 413, "request_too_large"), (500, 500, "internal_error")]
)
def test_what_the_server_refuses_has_one_of_three_answers(status: int, answered: int, code: str) -> None:
    told: list[tuple[object, ...]] = []
    response = parser_answers(lambda *refusal: told.append(refusal))(None, status)  # type: ignore[arg-type]
    assert (response.status, body_of(response)["code"]) == (answered, code)
    assert told == [(None, answered, code)]


async def test_the_request_id_is_there_for_the_handler_and_the_answer() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return respond(200, b"{}", request[REQUEST_ID])

    async with serving(handler) as server:
        assert (await (await server.caller()).ask(ASK)).header("X-Request-Id") == "id-1"


async def test_a_fault_keeps_the_connection_unless_a_body_is_still_coming() -> None:
    async def refuses(request: web.BaseRequest) -> web.StreamResponse:
        del request
        msg = "x"
        raise InvalidBody(msg)

    async with serving(refuses) as server:
        caller = await server.caller()
        for _ in range(2):
            assert (await caller.ask(ASK)).header("Connection") is None
        reply = await caller.ask(request(b"", "Content-Length: 1000"))
        assert (reply.code, reply.header("Connection")) == ("invalid_request_body", "close")


async def test_a_relay_that_stops_sends_its_callers_elsewhere() -> None:
    async def drains(request: web.BaseRequest) -> web.StreamResponse:
        del request
        msg = "x"
        raise Draining(msg, retry_after_s=1)

    async with serving(drains) as server:
        caller = await server.caller()
        reply = await caller.ask(ASK)
        assert (reply.status, reply.code, reply.header("Retry-After"), reply.header("Connection")) == (503, "shutting_down", "1", "close")
        assert await caller.is_closed()


async def test_a_mistake_is_a_500_that_says_nothing_and_a_log_line_that_says_which_request(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(request: web.BaseRequest) -> web.StreamResponse:
        del request
        msg = "a secret detail"
        raise ConnectionError(msg)

    async with serving(fails) as server:
        caller = await server.caller()
        for _ in range(2):
            reply = await caller.ask(ASK)
            assert (reply.status, reply.code) == (500, "internal_error")
            assert "secret" not in str(reply)
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.ERROR, "unexpected failure")] * 2
    assert {record.__dict__["request_id"] for record in caplog.records} == {"id-1"}


async def test_a_mistake_after_the_socket_was_taken_closes_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(request: web.BaseRequest) -> web.StreamResponse:
        request[TAKEN] = True
        raise KeyError

    async with serving(fails) as server:
        assert await (await server.caller()).ask(ASK) == NOTHING
    assert [record.message for record in caplog.records] == ["unexpected failure"]


async def test_a_caller_who_has_left_is_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def gone(request: web.BaseRequest) -> web.StreamResponse:
        del request
        raise ClientGone

    async with serving(gone) as server:
        assert await (await server.caller()).ask(ASK) == NOTHING
    assert caplog.records == []


async def test_a_cancelled_handler_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    begun = asyncio.Event()

    async def waits(request: web.BaseRequest) -> web.StreamResponse:
        del request
        begun.set()
        await asyncio.Event().wait()
        return web.Response()

    async with serving(waits) as server:
        caller = await server.caller()
        await caller.send(ASK)
        await begun.wait()
        caller.fin()
        await asyncio.sleep(0.01)
    assert caplog.records == []
