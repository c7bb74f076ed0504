"""The seam: what relay/web/stream.py relies on in aiohttp's server, held to the minor version that it was written against."""

import asyncio
import errno
import gzip
import os
import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from relay.domain.errors import HttpVersion
from relay.ports import ClientGone
from relay.web import stream
from relay.web.stream import TAKEN, Spliced, take_socket, write_whole
from tests.support.caller import request
from tests.support.loops import both_loops
from tests.support.waiting import eventually, open_descriptors
from tests.unit.web.serving import BODY_LIMIT, answered, serving

ASK = request(b"{}")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHi"
BIG = os.urandom(1 << 20)


def test_the_seam_is_known_to_hold_for_this_minor_version_alone() -> None:
    """With another one, read what stream.py says it relies on, run this file, and only then raise the number here and in pyproject.toml."""
    assert aiohttp.__version__.split(".")[:2] == ["3", "14"]


def test_what_is_overridden_is_still_there() -> None:
    assert callable(RequestHandler.handle_error)
    assert callable(RequestHandler.log_exception)
    assert callable(web.StreamResponse.prepare)
    assert callable(web.StreamResponse.write_eof)
    assert isinstance(web.StreamResponse.keep_alive, property)
    assert asyncio.iscoroutinefunction(RequestHandler._drain_helper)  # noqa: SLF001 - part of the seam


# --- answers that were written past the server


async def by_hand(request: web.BaseRequest) -> web.StreamResponse:
    """Write an answer to a duplicate of the socket."""
    await request.read()
    fd = await take_socket(request)
    os.write(fd, ANSWER)
    os.close(fd)
    return Spliced(keep_alive="close" not in request.path)


@both_loops
async def test_a_spliced_answer_keeps_the_connection_for_the_next_request() -> None:
    async with serving(by_hand) as server:
        caller = await server.caller()
        for _ in range(3):
            assert (await caller.ask(ASK)).body == b"Hi"
        await caller.send(ASK * 3)
        assert [(await caller.reply()).body for _ in range(3)] == [b"Hi"] * 3


@both_loops
async def test_a_spliced_answer_that_can_keep_nothing_closes_the_connection_behind_it() -> None:
    async with serving(by_hand) as server:
        caller = await server.caller()
        await caller.send(request(b"{}", path="/close") + ASK)
        assert await caller.rest() == ANSWER


@both_loops
async def test_a_caller_who_wants_the_connection_closed_gets_it_closed() -> None:
    async with serving(by_hand) as server:
        caller = await server.caller()
        await caller.send(request(b"{}", "Connection: close"))
        assert await caller.rest() == ANSWER


@both_loops
async def test_answers_of_all_three_kinds_keep_their_order() -> None:
    """Aiohttp's own, ours in one piece and ours by hand: uvloop keeps what is written until the end of the round."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/hand":
            return await by_hand(request)
        if request.path == "/whole":
            return await write_whole(request, 200, [("X-Which", "whole")], b"whole", keep_alive=True)
        return web.Response(body=b"theirs")

    async with serving(handler) as server:
        caller = await server.caller()
        paths = ["/whole", "/hand", "/theirs", "/hand", "/whole", "/hand"] * 5
        await caller.send(b"".join(request(b"", path=path) for path in paths))
        expected = {"/whole": b"whole", "/hand": b"Hi", "/theirs": b"theirs"}
        assert [(await caller.reply()).body for _ in paths] == [expected[path] for path in paths]


# --- taking the socket


@both_loops
async def test_the_socket_that_is_taken_is_a_duplicate() -> None:
    seen: list[tuple[int, int]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        own = request.transport.get_extra_info("socket").fileno()
        fd = await take_socket(request)
        assert TAKEN in request
        assert os.fstat(own).st_ino == os.fstat(fd).st_ino
        assert not os.get_blocking(fd)
        seen.append((own, fd))
        os.close(fd)
        return web.Response()

    async with serving(handler) as server:
        assert (await (await server.caller()).ask(ASK)).status == 200
    [(own, fd)] = seen
    assert own != fd


async def test_the_socket_is_taken_when_all_before_has_left() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request.transport, asyncio.Transport)
        request.transport.write(BIG)
        fd = await take_socket(request)
        assert request.transport.get_write_buffer_size() == 0
        os.write(fd, b"behind")
        os.close(fd)
        return Spliced(keep_alive=False)

    async with serving(handler, send_buffer=4096) as server:
        caller = await server.caller(receive_buffer=4096)
        await caller.send(ASK)
        assert await caller.rest() == BIG + b"behind"


async def test_the_socket_of_a_caller_who_takes_nothing_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_TIMEOUT_S", 0.05)
    fate: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request.transport, asyncio.Transport)
        request.transport.write(BIG * 8)
        try:
            await take_socket(request)
        except ClientGone as gone:
            fate.set_result(gone)
            raise
        return Spliced(keep_alive=False)

    async with serving(handler, send_buffer=4096) as server:
        before = open_descriptors()
        caller = await server.caller(receive_buffer=4096)
        await caller.send(ASK)
        assert str(await fate) == "send_timeout"
        await eventually(lambda: open_descriptors() == before + 1)  # the caller's own


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
async def test_only_a_caller_who_knows_chunks_can_be_streamed_to(version: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        try:
            os.close(await take_socket(request))
        except HttpVersion:
            return web.Response(status=505)
        return web.Response(status=200)

    async with serving(handler) as server:
        reply = await (await server.caller()).ask(ASK.replace(b"HTTP/1.1", version.encode()))
        assert reply.status == (505 if version == "HTTP/1.0" else 200)


@both_loops
async def test_the_socket_of_a_caller_who_has_left_is_not_taken() -> None:
    fate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        try:
            await take_socket(request)
        except ClientGone as gone:
            fate.set_result(str(gone))
        return Spliced(keep_alive=False)

    async with serving(handler) as server:
        await (await server.caller()).send(ASK)
        assert await fate == "closed"


@both_loops
async def test_a_stream_without_a_descriptor_left_is_an_ordinary_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(fd: int) -> int:
        raise OSError(errno.EMFILE, str(fd))

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        with monkeypatch.context() as patch:
            patch.setattr(os, "dup", none_left)
            await take_socket(request)
        return web.Response()

    async with serving(handler) as server:
        caller = await server.caller()
        for _ in range(2):
            reply = await caller.ask(ASK)
            assert (reply.status, reply.code, reply.header("Retry-After")) == (503, "overloaded", "1")


async def test_a_connection_without_a_socket_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        with monkeypatch.context() as patch:
            patch.setattr(transport, "get_extra_info", lambda _: None)
            await take_socket(request)
        return web.Response()

    async with serving(handler) as server:
        assert (await (await server.caller()).ask(ASK)).code == "overloaded"


# --- the server's own words


@both_loops
async def test_what_the_parser_refuses_is_answered_in_our_words_and_logged_in_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with serving(answered) as server:
        caller = await server.caller()
        reply = await caller.ask(b"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-secret\x00\r\n\r\n")
        assert (reply.status, reply.code) == (400, "malformed_http")
        assert await caller.is_closed()
    assert "secret" not in str(reply)
    assert "secret" not in caplog.text
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_what_escapes_the_boundary_is_answered_in_our_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def fails(request: web.BaseRequest) -> web.StreamResponse:
        del request
        msg = "sk-secret"
        raise KeyError(msg)

    async with serving(fails, is_guarded=False) as server:
        caller = await server.caller()
        reply = await caller.ask(ASK)
        assert (reply.status, reply.code) == (500, "internal_error")
        assert reply.header("Server") == "postgate"
        assert await caller.is_closed()
    assert "secret" not in str(reply)
    assert "secret" not in caplog.text


async def test_nothing_is_decompressed() -> None:
    packed = gzip.compress(b"x" * 10_000)
    async with serving(answered) as server:
        assert (await (await server.caller()).ask(request(packed, "Content-Encoding: gzip"))).body == packed


async def test_bodies_and_headers_have_limits() -> None:
    async def reads(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await answered(request)
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=499)

    async with serving(reads) as server:
        for asked, status in (
            (request(b"x" * BODY_LIMIT), 200),
            (request(b"x" * (BODY_LIMIT + 1)), 499),
            (request(b"", "X-A: " + "a" * 1900), 200),
            (request(b"", "X-A: " + "a" * 2100), 400),
            (request(b"", *["X-A: a"] * 15), 200),
            (request(b"", *["X-A: a"] * 25), 400),
        ):
            assert (await (await server.caller()).ask(asked)).status == status


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    async with serving(answered, keepalive_s=0.05) as server:
        silent, used = await server.caller(), await server.caller()
        await used.ask(ASK)
        assert await silent.is_closed()
        assert await used.is_closed()


# --- callers who leave


@both_loops
@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_the_handler_of_a_caller_who_leaves_is_cancelled(how: str) -> None:
    cancelled = asyncio.Event()
    begun = asyncio.Event()

    async def waits(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return web.Response()

    async with serving(waits) as server:
        caller = await server.caller()
        await caller.send(ASK)
        await begun.wait()
        getattr(caller, how)()
        await asyncio.wait_for(cancelled.wait(), 0.5)
        await eventually(lambda: server.server.connections == [])


async def test_the_servers_sockets_send_small_writes_at_once() -> None:
    options: list[int] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        sock = request.transport.get_extra_info("socket")
        options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return web.Response()

    async with serving(handler) as server:
        await (await server.caller()).ask(ASK)
    assert options[0]
