"""The composition root: Settings become objects become listeners. The only file that knows all classes."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from relay import __version__
from relay.config.ladder import RELAY_HEADER_LIMIT, RELAY_HEADERS, RELAY_KEEPALIVE_S
from relay.config.schema import Settings
from relay.edge.policy import settings_digest
from relay.exchange import Limits, World, exchange, models_for
from relay.ports import Inbound, Observer, Streamed, Whole
from relay.providers.table import ADAPTERS
from relay.storage.memory import MemoryChannels, MemoryKeys, MemoryLedger
from relay.telemetry import logs
from relay.telemetry.failure_log import FailureLog
from relay.telemetry.loop_lag import loop_name
from relay.telemetry.loop_lag import watch as watch_lag
from relay.telemetry.metrics import Metrics
from relay.upstream.pool import Pool
from relay.web import ops
from relay.web.boundary import guarded, parser_answers
from relay.web.public import PublicListener, PublicSettings
from relay.web.stream import RelayServer

log: Final = logging.getLogger("relay.app")

BACKLOG: Final = 1024
_OPS_BACKLOG: Final = 64
_SHUTDOWN_S: Final = 2.0
_LOOK_AGAIN_S: Final = 0.05
SOCKET_MODE: Final = 0o660
_SHORTEST_SWEEP_S: Final = 0.05


class SystemClock:
    """Implements relay.ports.Clock."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def today(self) -> date:
        """Today in UTC."""
        return datetime.now(UTC).date()


class SystemChance:
    """Implements relay.ports.Chance."""

    def __init__(self) -> None:
        self._turn = secrets.randbelow(1 << 16)

    def turn(self) -> int:
        """Each call one further: equals get equal shares."""
        self._turn += 1
        return self._turn


def new_request_id() -> str:
    """32 hex digits, like nginx's $request_id."""
    return os.urandom(16).hex()


def sweep_s(settings: Settings) -> float:
    """How often deadlines are looked at: a quarter of the shortest, at most once a second."""
    server = settings.server
    shortest = min(
        server.first_byte_timeout,
        server.idle_timeout,
        server.total_timeout,
        server.ping_interval,
        server.commit_after,
        *(c.first_byte_timeout for c in settings.channel if c.first_byte_timeout),
        *(c.idle_timeout for c in settings.channel if c.idle_timeout),
    )
    return max(_SHORTEST_SWEEP_S, min(1.0, shortest / 4))


@dataclass(slots=True)
class Relay:
    """A running relay."""

    public: PublicListener
    server: RelayServer
    pool: Pool
    ledger: MemoryLedger


def build(settings: Settings, observer: Observer, loop: asyncio.AbstractEventLoop) -> Relay:
    """Settings to objects. Must be called inside the running loop."""
    server = settings.server
    pool = Pool(loop, connect_timeout_s=server.connect_timeout, sweep_s=sweep_s(settings), now=time.monotonic)
    ledger = MemoryLedger()
    world = World(
        clock=SystemClock(),
        chance=SystemChance(),
        keys=MemoryKeys(settings.key),
        channels=MemoryChannels(settings),
        ledger=ledger,
        upstream=pool,
        observer=observer,
        adapters=ADAPTERS,
        limits=Limits(
            tries=server.tries,
            commit_s=server.commit_after,
            ping_s=server.ping_interval,
            total_s=server.total_timeout,
            answer_bytes=server.answer_limit,
        ),
    )

    async def walk(inbound: Inbound) -> Whole | Streamed:
        return await exchange(inbound, world)

    public = PublicListener(
        walk,
        lambda secret, address: models_for(secret, address, world),
        PublicSettings(settings.edge.body_limit, server.body_timeout, server.total_timeout, int(time.time())),
        new_request_id,
        time.monotonic,
        observer.refused,
    )
    aio = RelayServer(
        guarded(public.handle, public.request_id),
        parser_answers(observer.refused),
        body_limit=settings.edge.body_limit,
        keepalive_s=RELAY_KEEPALIVE_S,
        header_limit=RELAY_HEADER_LIMIT,
        headers=RELAY_HEADERS,
    )
    return Relay(public, aio, pool, ledger)


async def serve(settings: Settings, *, stopped: asyncio.Event | None = None) -> None:
    """Run the relay in the foreground until SIGTERM or SIGINT (or `stopped`), then let open streams finish.

    Raises OSError with a readable text if a listener can't be opened.
    """
    loop = asyncio.get_running_loop()
    stop = stopped or asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    raise_descriptor_limit()
    metrics = Metrics(version=__version__, event_loop=loop_name(loop))
    relay = build(settings, FailureLog(metrics.observer), loop)
    digest = settings_digest(settings)
    models = {model for channel in settings.channel for model in channel.models}
    metrics.configured(models, [channel.name for channel in settings.channel], digest, time.time())
    health = {"version": __version__, "event_loop": loop_name(loop), "settings": digest}
    ops_app = ops.build(metrics.scrape, lambda: readiness(settings, relay), health)
    lag = asyncio.ensure_future(watch_lag(metrics.loop_lag))
    try:
        async with listening(relay.server, settings.server.listen) as public, admin_pages(ops_app, settings.server.admin):
            gc.collect()
            gc.freeze()  # what lives from the start on is never looked at again
            log.info("serving", extra={"listen": settings.server.listen, "admin": settings.server.admin, **health})
            await stop.wait()
            relay.public.is_draining = True
            public.close()
            log.info("draining", extra={"open": relay.public.open, "longest_s": settings.server.drain})
            await drained(relay.public, settings.server.drain)
            await relay.server.shutdown(_SHUTDOWN_S)
    finally:
        lag.cancel()
        relay.pool.close()
    log.info("stopped", extra={"cut": relay.public.open})


def readiness(settings: Settings, relay: Relay) -> tuple[bool, list[str]]:
    """Whether requests can be served, and why not."""
    reasons = []
    if relay.public.is_draining:
        reasons.append("draining")
    if not settings.channel:
        reasons.append("no channel is configured")
    return not reasons, reasons


async def drained(public: PublicListener, longest_s: float) -> None:
    """Wait until no exchange is open, at most `longest_s`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            while public.open:  # noqa: ASYNC110 - an event would cost every request; this runs once
                await asyncio.sleep(_LOOK_AGAIN_S)


@contextlib.asynccontextmanager
async def listening(server: RelayServer, listen: str) -> AsyncIterator[asyncio.Server]:
    """The public listener, on `unix:PATH` or `HOST:PORT`. The socket's file is removed afterwards."""
    loop = asyncio.get_running_loop()
    if not listen.startswith("unix:"):
        host, _, port = listen.rpartition(":")
        opened = await loop.create_server(server, host.strip("[]"), int(port), backlog=BACKLOG)
        try:
            yield opened
        finally:
            opened.close()
        return
    path = Path(listen.removeprefix("unix:"))
    sock = unix_socket(path)
    opened = await loop.create_unix_server(server, sock=sock, backlog=BACKLOG)
    try:
        yield opened
    finally:
        opened.close()
        remove_socket(path)


def unix_socket(path: Path) -> socket.socket:
    """Bind a unix socket that its owner and group may use. A dead one in the way is replaced, a live one is an error."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink()
            else:
                msg = f"{path} is served by another process; stop that one, or set another [server] listen"
                raise OSError(msg)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(path))
        path.chmod(SOCKET_MODE)
    except BaseException:
        sock.close()
        raise
    return sock


def remove_socket(path: Path) -> None:
    """Take the socket's file away, so that nobody waits before a closed door."""
    path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def admin_pages(app: web.Application, admin: str) -> AsyncIterator[None]:
    """The admin listener, on `HOST:PORT` or `unix:PATH`."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        if admin.startswith("unix:"):
            await web.SockSite(runner, unix_socket(Path(admin.removeprefix("unix:")))).start()
        else:
            host, _, port = admin.rpartition(":")
            await web.TCPSite(runner, host.strip("[]"), int(port), backlog=_OPS_BACKLOG).start()
        yield
    finally:
        await runner.cleanup()
        if admin.startswith("unix:"):
            remove_socket(Path(admin.removeprefix("unix:")))


def raise_descriptor_limit() -> None:
    """Use as many descriptors as the system allows: a stream takes three."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run(settings: Settings) -> None:
    """`serve` on uvloop, or on asyncio where uvloop can't be had; /healthz tells which."""
    secrets_ = [key.get_secret_value() for channel in settings.channel for key in channel.keys]
    logs.configure(settings.server.log_level, secrets_)
    try:
        import uvloop  # noqa: PLC0415 - optional: no wheel for every platform
    except ImportError:
        asyncio.run(serve(settings))
    else:
        uvloop.run(serve(settings))
