"""The public listener: what it hands to the walk, whom it believes, and how it gives answers back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

import pytest
from aiohttp import web
from multidict import CIMultiDict

from relay.domain.endpoints import ENDPOINTS, Endpoint
from relay.domain.errors import InvalidKey, NoChannel
from relay.ports import Inbound, Streamed, Whole
from relay.web.boundary import guarded, parser_answers
from relay.web.public import PublicListener, PublicSettings, address_of, is_edge
from relay.web.stream import RelayServer
from tests.support.builders import KEY
from tests.support.caller import Caller, chat, request
from tests.support.loops import both_loops
from tests.support.waiting import eventually

NEW_ID = "n" * 32
TOLD_ID = "0123456789abcdef0123456789abcdef"
WHOLE = Whole(200, "application/json", b'{"whole": 1}')


class Listening:
    """A listener whose walk is the test's own."""

    def __init__(self, walk: Callable[[Inbound], object] = lambda _: WHOLE, *, total_s: float = 60) -> None:
        self.inbounds: list[Inbound] = []
        self.refusals: list[tuple[Endpoint | None, int, str]] = []
        self._walk = walk
        self.public = PublicListener(
            self.walk,
            self.models,
            PublicSettings(1000, 5.0, total_s, 7),
            lambda: NEW_ID,
            lambda: 1234.5,
            lambda *told: self.refusals.append(told),
        )
        self._callers: list[Caller] = []
        self._where: int | Path = 0

    async def walk(self, inbound: Inbound) -> Whole | Streamed:
        self.inbounds.append(inbound)
        answer = self._walk(inbound)
        if isinstance(answer, asyncio.Future):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, (Whole, Streamed))
        return answer

    def models(self, secret: str, address: str) -> tuple[str, ...]:
        if secret != KEY:
            msg = "no"
            raise InvalidKey(msg)
        return ("a", address)

    async def __aenter__(self) -> Self:
        self._server = RelayServer(
            guarded(self.public.handle, self.public.request_id),
            parser_answers(lambda *told: self.refusals.append(told)),
            body_limit=1000,
            keepalive_s=5,
            header_limit=8000,
            headers=64,
        )
        self._listener = await asyncio.get_running_loop().create_server(self._server, "127.0.0.1", 0)
        self._where = self._listener.sockets[0].getsockname()[1]
        return self

    async def at(self, path: Path) -> None:
        """Listen on a unix socket instead."""
        self._listener.close()
        self._listener = await asyncio.get_running_loop().create_unix_server(self._server, str(path))
        self._where = path

    async def __aexit__(self, *_: object) -> None:
        for caller in self._callers:
            caller.fin()
        self._listener.close()
        await self._server.shutdown(1)

    async def caller(self) -> Caller:
        self._callers.append(await Caller.connect(self._where))
        return self._callers[-1]


# --- what the walk is given


@both_loops
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation.value)
async def test_the_walk_is_given_the_request_as_it_came(endpoint: Endpoint) -> None:
    async with Listening() as listening:
        reply = await (await listening.caller()).ask(request(b'{"a": "\\u00fc"}', path=endpoint.path + "?x=y"))
        assert (reply.status, reply.body) == (200, WHOLE.body)
        assert reply.headers == (
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", NEW_ID),
            ("Content-Length", "12"),
        )
        [inbound] = listening.inbounds
        assert (inbound.endpoint, inbound.body, inbound.secret) == (endpoint, b'{"a": "\\u00fc"}', KEY)
        assert (inbound.address, inbound.request_id, inbound.began_at) == ("127.0.0.1", NEW_ID, 1234.5)
        assert KEY not in repr(inbound)


async def test_a_request_without_a_body_is_the_walks_to_judge() -> None:
    async with Listening() as listening:
        await (await listening.caller()).ask(request(b""))
        assert listening.inbounds[0].body == b""


async def test_an_exchange_is_open_while_it_is_walked_and_no_longer() -> None:
    gate: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    async with Listening(lambda _: gate) as listening:
        caller = await listening.caller()
        await caller.send(request(chat()))
        await asyncio.sleep(0.01)
        assert listening.public.open == 1
        gate.set_result(WHOLE)
        await caller.reply()
        assert listening.public.open == 0


async def test_a_slow_caller_is_given_no_longer_for_a_whole_answer_than_an_exchange_may_take() -> None:
    async with Listening(lambda _: Whole(200, "application/json", bytes(32 << 20)), total_s=0.1) as listening:
        caller = await listening.caller()
        await caller.send(request(chat()))
        await eventually(lambda: listening.public.open == 1)
        await eventually(lambda: listening.public.open == 0)


@both_loops
async def test_what_the_parser_refuses_is_counted_and_has_an_id_of_its_own() -> None:
    async with Listening() as listening:
        ids = [(await (await listening.caller()).ask(b"BROKEN\r\n\r\n")).header("X-Request-Id") or "" for _ in range(2)]
        assert listening.refusals == [(None, 400, "malformed_http")] * 2
    assert [len(bytes.fromhex(each)) for each in ids] == [16, 16]
    assert ids[0] != ids[1]


# --- whom it believes


@dataclass
class Peer:
    """As much of a request as is asked who its peer is."""

    peer: object
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    is_lost: bool = False

    @property
    def transport(self) -> "Peer | None":
        return None if self.is_lost else self

    def get_extra_info(self, name: str) -> object:
        assert name == "peername"
        return self.peer

    @property
    def request(self) -> web.BaseRequest:
        return cast("web.BaseRequest", self)


@pytest.mark.parametrize(
    "peer", ["", None, "@abstract", ("127.0.0.1", 5000), ("127.9.9.9", 5000), ("::ffff:127.0.0.1", 5000, 0, 0), ("::1", 5000, 0, 0)]
)
def test_the_edge_is_whoever_comes_over_a_unix_socket_or_loopback(peer: object) -> None:
    told = CIMultiDict({"X-Real-IP": "192.0.2.7", "X-Request-Id": TOLD_ID})
    assert is_edge(Peer(peer).request)
    assert address_of(Peer(peer, told).request) == "192.0.2.7"
    assert Listening().public.request_id(Peer(peer, told).request) == TOLD_ID


@pytest.mark.parametrize("host", ["192.0.2.9", "10.0.0.1", "1.127.0.0", "::1234", "2001:db8::1", "::ffff:192.0.2.9"])
def test_nobody_else_is_believed(host: str) -> None:
    told = CIMultiDict({"X-Real-IP": "127.0.0.1", "X-Request-Id": TOLD_ID, "X-Forwarded-For": "127.0.0.1"})
    assert not is_edge(Peer((host, 5000)).request)
    assert address_of(Peer((host, 5000), told).request) == host
    assert Listening().public.request_id(Peer((host, 5000), told).request) == NEW_ID


def test_a_lost_connection_is_nobodys() -> None:
    told = CIMultiDict({"X-Real-IP": "127.0.0.1", "X-Request-Id": TOLD_ID})
    assert not is_edge(Peer("", told, is_lost=True).request)
    assert address_of(Peer("", told, is_lost=True).request) == ""


@pytest.mark.parametrize("told", ["", "short", "x" * 65, "a b c d e f g h", "0123456789\u00fcabcdef", "-" * 7, "<script>alert(1)</script>"])
async def test_an_odd_request_id_is_replaced(told: str) -> None:
    async with Listening() as listening:
        reply = await (await listening.caller()).ask(request(chat(), f"X-Request-Id: {told}"))
        assert reply.header("X-Request-Id") == NEW_ID


@both_loops
async def test_address_and_request_id_of_the_edge_are_passed_on(tmp_path: Path) -> None:
    async with Listening() as listening:
        for _ in range(2):
            reply = await (await listening.caller()).ask(request(chat(), "X-Real-IP: 2001:db8::7", f"X-Request-Id: {TOLD_ID}"))
            assert reply.header("X-Request-Id") == TOLD_ID
            await listening.at(tmp_path / "relay.sock")
        assert {(inbound.address, inbound.request_id) for inbound in listening.inbounds} == {("2001:db8::7", TOLD_ID)}


async def test_a_unix_socket_without_an_address_told_has_none(tmp_path: Path) -> None:
    async with Listening() as listening:
        await listening.at(tmp_path / "relay.sock")
        await (await listening.caller()).ask(request(chat()))
        assert listening.inbounds[0].address == ""


# --- what is refused here


@pytest.mark.parametrize(
    ("asked", "endpoint", "status", "code"),
    [
        (request(b"", path="/nothing"), None, 404, "unknown_path"),
        (request(b"", method="PUT"), ENDPOINTS[0], 405, "method_not_allowed_here"),
        (request(b"", method="POST", path="/v1/models"), None, 405, "method_not_allowed_here"),
        (request(b"", method="GET", path="/v1/models", key="sk-wrong"), None, 401, "invalid_api_key"),
        (request(b"", key=""), ENDPOINTS[0], 401, "missing_api_key"),
        (request(b"x" * 1001), ENDPOINTS[0], 413, "request_too_large"),
        (request(b"{}", "Content-Encoding: gzip"), ENDPOINTS[0], 415, "unsupported_media_type"),
    ],
)
async def test_what_never_becomes_an_exchange_is_counted(asked: bytes, endpoint: Endpoint | None, status: int, code: str) -> None:
    async with Listening() as listening:
        reply = await (await listening.caller()).ask(asked)
        assert (reply.status, reply.code) == (status, code)
        assert listening.refusals == [(endpoint, status, code)]
        assert listening.inbounds == []


async def test_a_fault_of_the_walk_is_the_walks_to_count() -> None:
    async with Listening(lambda _: NoChannel("x", retry_after_s=5)) as listening:
        reply = await (await listening.caller()).ask(request(chat()))
        assert (reply.status, reply.code, reply.header("Retry-After")) == (503, "no_channel_available", "5")
        assert listening.refusals == []


async def test_models_are_listed_for_the_key_and_address() -> None:
    async with Listening() as listening:
        reply = await (await listening.caller()).ask(request(b"", "X-Real-IP: 192.0.2.7", path="/v1/models", method="GET"))
        rows = [{"id": model, "object": "model", "created": 7, "owned_by": "postgate"} for model in ("a", "192.0.2.7")]
        assert reply.json == {"object": "list", "data": rows}


# --- when the relay stops


@both_loops
async def test_a_relay_that_stops_finishes_what_is_open_and_closes_each_connection_with_its_answer() -> None:
    gate: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    async with Listening(lambda _: gate) as listening:
        under_way, idle = await listening.caller(), await listening.caller()
        await under_way.send(request(chat()))
        await asyncio.sleep(0.01)
        listening.public.is_draining = True
        reply = await idle.ask(request(chat()))
        assert (reply.status, reply.code, reply.header("Connection")) == (503, "shutting_down", "close")
        gate.set_result(WHOLE)
        reply = await under_way.reply()
        assert (reply.body, reply.header("Connection")) == (WHOLE.body, "close")
        assert await under_way.is_closed()
        assert await idle.is_closed()
        assert listening.refusals == [(ENDPOINTS[0], 503, "shutting_down")]


@pytest.mark.parametrize(("keep_alive", "is_draining", "kept"), [(True, False, True), (False, False, False), (True, True, False)])
async def test_what_becomes_of_a_connection_that_was_streamed_to(keep_alive: bool, is_draining: bool, kept: bool) -> None:  # noqa: FBT001
    async with Listening() as listening:

        def streamed(_: Inbound) -> Streamed:
            listening.public.is_draining = is_draining
            return Streamed(keep_alive=keep_alive)

        listening._walk = streamed  # noqa: SLF001 - of this file
        caller = await listening.caller()
        await caller.send(request(chat()))
        await asyncio.sleep(0.01)
        if kept:
            listening._walk = lambda _: WHOLE  # noqa: SLF001 - of this file
            assert (await caller.ask(request(chat()))).body == WHOLE.body
        else:
            assert await caller.is_closed()
