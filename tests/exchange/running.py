"""A relay that runs in the test's own event loop: the real listener, walk and pool, with a ledger and an observer that can be asked."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from relay.config.ladder import RELAY_HEADER_LIMIT, RELAY_HEADERS, RELAY_KEEPALIVE_S
from relay.domain.access import Principal
from relay.domain.channel import Candidate, Channel, Credential, Origin
from relay.exchange import Limits, World, exchange, models_for
from relay.ports import Inbound, Streamed, Whole
from relay.providers.table import ADAPTERS
from relay.upstream.pool import Pool
from relay.web.boundary import guarded, parser_answers
from relay.web.public import PublicListener, PublicSettings
from relay.web.stream import RelayServer
from tests.support.builders import channel
from tests.support.caller import Caller, Reply, chat, request
from tests.support.ports import Chance, Channels, Keys, Ledger, Observer
from tests.support.upstream import ScriptedUpstream

SWEEP_S: Final = 0.01
LIMITS: Final = Limits(tries=3, commit_s=10, ping_s=10, total_s=30, answer_bytes=1 << 20)
BODY_LIMIT: Final = 64 << 10


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def today(self) -> date:
        return datetime.now(UTC).date()


def channel_to(
    upstream: ScriptedUpstream | int, name: str = "main", *, priority: int = 0, first_byte_s: float = 5, idle_s: float = 5
) -> Channel:
    port = upstream if isinstance(upstream, int) else upstream.port
    origin = Origin(tls=False, host="127.0.0.1", port=port)
    return replace(channel(name, priority=priority), origin=origin, first_byte_s=first_byte_s, idle_s=idle_s)


def with_keys(of: Channel, *secrets: str) -> tuple[Candidate, ...]:
    """A channel with its credentials, in this order."""
    return tuple(Candidate(of, Credential(f"{of.name}#{number}", secret)) for number, secret in enumerate(secrets, start=1))


class Running:
    """What a test may look at, and how it calls."""

    def __init__(self, candidates: tuple[Candidate, ...], keys: tuple[Principal, ...], limits: Limits, body_timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.ledger = Ledger()
        self.observer = Observer()
        self.pool = Pool(loop, connect_timeout_s=0.5, sweep_s=SWEEP_S, now=time.monotonic)
        world = World(SystemClock(), Chance(), Keys(*keys), Channels(*candidates), self.ledger, self.pool, self.observer, ADAPTERS, limits)

        async def walk(inbound: Inbound) -> Whole | Streamed:
            return await exchange(inbound, world)

        self.public = PublicListener(
            walk,
            lambda secret, address: models_for(secret, address, world),
            PublicSettings(BODY_LIMIT, body_timeout_s, limits.total_s, 1700000000),
            lambda: "f" * 32,
            time.monotonic,
            self.observer.refused,
        )
        self.server = RelayServer(
            guarded(self.public.handle, self.public.request_id),
            parser_answers(self.observer.refused),
            body_limit=BODY_LIMIT,
            keepalive_s=RELAY_KEEPALIVE_S,
            header_limit=RELAY_HEADER_LIMIT,
            headers=RELAY_HEADERS,
        )
        self.where: int | Path = 0
        self.callers: list[Caller] = []

    async def caller(self, *, receive_buffer: int = 0) -> Caller:
        """A new connection, closed at the latest with the relay."""
        caller = await Caller.connect(self.where, receive_buffer=receive_buffer)
        self.callers.append(caller)
        return caller

    async def ask(self, body: object = None, *fields: str, path: str = "/v1/chat/completions", stream: bool = False) -> Reply:
        """One request on a connection of its own."""
        caller = await self.caller()
        reply = await caller.ask(request(chat(stream=stream) if body is None else body, *fields, path=path))
        caller.fin()
        return reply


@contextlib.asynccontextmanager
async def running(
    *channels: Channel | tuple[Candidate, ...],
    keys: tuple[Principal, ...] = (),
    at: Path | None = None,
    body_timeout_s: float = 5,
    send_buffer: int = 0,
    **limits: float,
) -> AsyncIterator[Running]:
    """A relay in front of these channels, each with its credentials or with none, at a free port or a unix socket."""
    candidates = tuple(one for each in channels for one in (each if isinstance(each, tuple) else (Candidate(each, None),)))
    relay = Running(candidates, keys, replace(LIMITS, **limits), body_timeout_s)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    if at is None:
        sock = socket.create_server(("127.0.0.1", 0), backlog=256)
        if send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        relay.where = sock.getsockname()[1]
        listener = await loop.create_server(relay.server, sock=sock)
    else:
        relay.where = at
        listener = await loop.create_unix_server(relay.server, str(at))
    try:
        yield relay
    finally:
        for caller in relay.callers:
            caller.fin()
        listener.close()
        await relay.server.shutdown(1)
        relay.pool.close()
        assert relay.observer.under_way == 0
        assert relay.observer.open_streams == 0
        assert relay.ledger.held == set()
