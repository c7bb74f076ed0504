"""Answers in one piece: what they say, and callers who are slow to take them."""

import asyncio
import os
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from aiohttp import HttpVersion11, web

from relay.ports import ClientGone
from relay.web import stream
from relay.web.stream import write_whole
from tests.support.caller import Reply, request
from tests.support.loops import both_loops
from tests.support.waiting import eventually, open_descriptors
from tests.unit.web.serving import serving

ASK = request(b"{}")
BIG = os.urandom(1 << 20)


@both_loops
@pytest.mark.parametrize(
    ("version", "field", "keep_alive", "told"),
    [
        ("1.1", "X: y", True, None),
        ("1.1", "Connection: close", True, "close"),
        ("1.1", "X: y", False, "close"),
        ("1.0", "X: y", True, "close"),
        ("1.0", "Connection: keep-alive", True, "keep-alive"),
        ("1.0", "Connection: keep-alive", False, "close"),
    ],
)
async def test_an_answer_in_one_piece_says_what_becomes_of_the_connection(
    version: str,
    field: str,
    keep_alive: bool,  # noqa: FBT001
    told: str | None,
) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await write_whole(request, 201, [("X-Which", "whole")], b"body", keep_alive=keep_alive)

    async with serving(handler) as server:
        caller = await server.caller()
        reply = await caller.ask(request(b"{}", field).replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        connection = (("Connection", told),) if told else ()
        assert reply == Reply(201, (("X-Which", "whole"), ("Content-Length", "4"), *connection), b"body", is_whole=True)
        if told == "close":
            assert await caller.is_closed()
        else:
            assert (await caller.ask(request(b"{}"))).status == 201


@both_loops
async def test_a_caller_who_sends_ahead_and_reads_nothing_piles_up_one_answer() -> None:
    """Each further request waits until the answer before it has all but left."""
    answers = 0

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal answers
        answers += 1
        return await write_whole(request, 200, [], BIG, keep_alive=True)

    async with serving(handler, send_buffer=4096) as server:
        caller = await server.caller(receive_buffer=4096)
        await caller.send(ASK * 20)
        await asyncio.sleep(0.1)
        assert answers <= 2
        for _ in range(20):
            assert (await caller.reply()).body == BIG
        assert answers == 20


async def test_a_caller_who_takes_nothing_of_an_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_TIMEOUT_S", 0.05)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await write_whole(request, 200, [], BIG * 8, keep_alive=True)

    async with serving(handler, send_buffer=4096) as server:
        before = open_descriptors()
        caller = await server.caller(receive_buffer=4096)
        await caller.send(ASK)
        await eventually(lambda: open_descriptors() > before + 1)
        await eventually(lambda: open_descriptors() == before + 1)  # the caller's own


async def test_a_slow_caller_who_takes_a_little_now_and_then_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_TIMEOUT_S", 0.1)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await write_whole(request, 200, [], BIG, keep_alive=True)

    async with serving(handler, send_buffer=4096) as server:
        caller = await server.caller(receive_buffer=4096)
        await caller.send(ASK)
        for _ in range(8):
            await asyncio.sleep(0.04)
            await caller.more()
        assert (await caller.reply()).body == BIG


@both_loops
async def test_a_caller_who_takes_a_little_now_and_then_is_let_go_when_the_time_is_over() -> None:
    fate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await write_whole(request, 200, [], BIG * 8, keep_alive=True, within_s=0.1)
        except ClientGone as gone:
            fate.set_result(gone.reason)
            raise

    async with serving(handler, send_buffer=4096) as server:
        caller = await server.caller(receive_buffer=4096)
        await caller.send(ASK)
        for _ in range(20):
            await asyncio.sleep(0.01)
            await caller.more()
            if fate.done():
                break
        assert await asyncio.wait_for(fate, 0.5) == "send_timeout"


@both_loops
async def test_a_slow_caller_costs_no_looking_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transport says when enough has left."""
    looked = Mock(wraps=asyncio.wait)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await write_whole(request, 200, [], BIG, keep_alive=True)

    monkeypatch.setattr(asyncio, "wait", looked)
    async with serving(handler, send_buffer=4096) as server:
        caller = await server.caller(receive_buffer=4096)
        await caller.send(ASK)
        await asyncio.sleep(0.2)
        assert (await caller.reply()).body == BIG
        assert looked.call_count == 1
        assert (await caller.ask(ASK)).body == BIG


@pytest.mark.parametrize(("size", "pieces"), [(100, 1), (64 << 10, 2)])
async def test_a_large_body_is_not_copied_to_stand_behind_its_head(size: int, pieces: int) -> None:
    written: list[bytes] = []

    class Transport:
        def is_closing(self) -> bool:
            return False

        def write(self, data: bytes) -> None:
            written.append(data)

        def get_write_buffer_size(self) -> int:
            return 0

    body = bytes(size)
    asked = SimpleNamespace(transport=Transport(), keep_alive=True, version=HttpVersion11)
    await write_whole(asked, 200, [], body, keep_alive=True)  # type: ignore[arg-type]
    assert len(written) == pieces
    assert (written[-1] is body) == (pieces == 2)
