"""The pool of connections to all upstreams, and their one sweep timer. Implements relay.ports.Upstream.

A pooled connection that dies before the first byte of an answer is replaced once by a fresh one: upstreams promise keep-alive and
close all the same (llama.cpp's server does after each stream), and no byte of an answer means the request was not served.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from relay.config.ladder import UPSTREAM_IDLE_S
from relay.domain.channel import Origin
from relay.domain.errors import UpstreamClosed
from relay.ports import Call, Patience
from relay.upstream.answer import UpstreamAnswer
from relay.upstream.connection import Connection
from relay.upstream.dial import Dialer
from relay.upstream.outlet import SocketOutlet
from relay.upstream.poller import Poller

log: Final = logging.getLogger(__name__)

MOST_IDLE: Final = 256
"""Resting connections kept per origin."""


class Pool:
    """All outbound connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, connect_timeout_s: float, sweep_s: float, now: Callable[[], float]) -> None:
        self.loop = loop
        self.now = now
        self.poller = Poller(loop)
        self.sweep_s = sweep_s
        self._dialer = Dialer(loop, self.poller, connect_timeout_s)
        self._idle: dict[Origin, list[Connection]] = {}
        self._busy: set[Connection] = set()
        self._timer = loop.call_later(sweep_s, self._sweep)

    async def open(self, call: Call, patience: Patience | None, give_up_at: float) -> UpstreamAnswer:
        """Send the call over a resting connection, or a new one, and wait for the answer's head."""
        pooled = self._take(call.channel.origin)
        if pooled is not None:
            answer = UpstreamAnswer(pooled)
            try:
                await answer.ask(call, patience, give_up_at)
            except UpstreamClosed:
                if pooled.answered:
                    raise
            else:
                return answer
        connection = Connection(self, call.channel.origin, await self._dialer.dial(call.channel.origin))
        self._busy.add(connection)
        answer = UpstreamAnswer(connection)
        await answer.ask(call, patience, give_up_at)
        return answer

    def outlet(self, fd: int) -> SocketOutlet:
        """An outlet over a caller's socket."""
        return SocketOutlet(fd, self.poller, self.loop, self.now)

    def _take(self, origin: Origin) -> Connection | None:
        resting = self._idle.get(origin)
        while resting:
            connection = resting.pop()
            if connection.is_clean():
                self._busy.add(connection)
                return connection
            connection.close()
        return None

    def returned(self, connection: Connection) -> None:
        """A connection has served and may serve again."""
        self._busy.discard(connection)
        self._dialer.remember_session(connection.origin, connection.sock)
        resting = self._idle.setdefault(connection.origin, [])
        if len(resting) < MOST_IDLE:
            resting.append(connection)
        else:
            connection.close()

    def gone(self, connection: Connection) -> None:
        """A connection is closed."""
        self._busy.discard(connection)
        resting = self._idle.get(connection.origin)
        if resting and connection in resting:
            resting.remove(connection)

    def _sweep(self) -> None:
        self._timer = self.loop.call_later(self.sweep_s, self._sweep)
        now = self.now()
        for connection in list(self._busy):
            try:
                connection.sweep(now)
            except Exception:  # a defect, which must not cost the others their deadlines
                log.exception("a connection could not be swept")
                connection.close()
        for origin, resting in list(self._idle.items()):
            for connection in [one for one in resting if now - one.idle_since > UPSTREAM_IDLE_S]:
                connection.close()
            if not resting:
                del self._idle[origin]

    def close(self) -> None:
        """Close every connection; answers under way fail with UpstreamClosed."""
        self._timer.cancel()
        for connection in [*self._busy, *(one for resting in self._idle.values() for one in resting)]:
            connection.close()
        self.poller.close()
