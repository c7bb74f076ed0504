"""A pool with quick sweeps and a clock that can be put forward, and the caller's end of a stream."""

import asyncio
import os
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final

from relay.domain.channel import Channel, Origin
from relay.ports import Call, Ending, Patience
from relay.upstream.answer import UpstreamAnswer
from relay.upstream.outlet import SocketOutlet
from relay.upstream.pool import Pool
from relay.wire.http_head import Head
from relay.wire.openai_stream import StreamTap
from tests.support.caller import Caller
from tests.support.upstream import ScriptedUpstream

SWEEP_S: Final = 0.01
LIMIT: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Authority:
    """What a TLS upstream needs, and what believes it."""

    server: ssl.SSLContext
    ca_file: str


class Rig:
    """One pool under test."""

    def __init__(self, *, connect_timeout_s: float = 2.0) -> None:
        self.loop = asyncio.get_running_loop()
        self.ahead_s = 0.0
        self.pool = Pool(self.loop, connect_timeout_s=connect_timeout_s, sweep_s=SWEEP_S, now=self.now)
        self._ends: list[Caller] = []
        self._outlets: list[SocketOutlet] = []

    def now(self) -> float:
        return time.monotonic() + self.ahead_s

    async def close(self) -> None:
        for outlet in self._outlets:
            outlet.close()
        for end in self._ends:
            end.fin()
        self.pool.close()

    def call(
        self, to: ScriptedUpstream | int, body: bytes = b"{}", *, first_byte_s: float = 5, idle_s: float = 5, ca_file: str = ""
    ) -> Call:
        port = to if isinstance(to, int) else to.port
        origin = Origin(bool(ca_file), "localhost" if ca_file else "127.0.0.1", port, ca_file or None)
        channel = Channel("main", "openai", origin, "upstream.test", "/v1", {}, 0, first_byte_s, idle_s)
        return Call(channel, b"POST /v1/chat/completions HTTP/1.1\r\nHost: upstream.test\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    async def open(self, call: Call, patience: Patience | None = None, *, total_s: float = 30) -> UpstreamAnswer:
        return await self.pool.open(call, patience, self.now() + total_s)

    async def whole(self, call: Call, *, limit: int = LIMIT) -> tuple[Head, bytes]:
        """A whole answer."""
        answer = await self.open(call)
        return answer.head, await answer.whole(limit)

    def caller(self, *, send_buffer: int = 0) -> tuple[Caller, SocketOutlet]:
        """A caller, and the outlet towards him, whose head is `HEAD|`."""
        ours, his = socket.socketpair()
        if send_buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
        outlet = self.pool.outlet(os.dup(ours.fileno()))
        outlet.lead(b"HEAD|")
        ours.close()
        caller = Caller(his)
        self._ends.append(caller)
        self._outlets.append(outlet)
        return caller, outlet

    async def splice(
        self, upstream: ScriptedUpstream, tap: StreamTap, outlet: SocketOutlet, *, idle_s: float = 5, total_s: float = 1000
    ) -> object:
        """The fault that a stream ends with, or its Ending."""
        answer = await self.open(self.call(upstream, idle_s=idle_s), total_s=total_s)
        [end] = await asyncio.gather(answer.splice(outlet, tap), return_exceptions=True)
        return end

    async def stream(self, call: Call, tap: StreamTap | None = None) -> tuple[Ending, bytes]:
        """A whole stream: what it ended with, and what had been written to the caller before."""
        caller, outlet = self.caller()
        reading = asyncio.create_task(caller.rest())
        try:
            answer = await self.open(call)
            ending = await answer.splice(outlet, tap or StreamTap())
            await outlet.flushed()
        finally:
            outlet.close()
            read = await reading
        return ending, read


def payload_of(chunks: bytes) -> bytes:
    """The payload of whole chunks, each byte of whose framing is judged."""
    payload, at = bytearray(), 0
    while at < len(chunks):
        start = chunks.index(b"\r\n", at) + 2
        end = start + int(chunks[at : start - 2], 16)
        payload += chunks[start:end]
        assert chunks[end : end + 2] == b"\r\n", chunks[at:]
        at = end + 2
    return bytes(payload)


async def written(caller: Caller, outlet: SocketOutlet) -> bytes:
    """All that was written to a caller."""
    outlet.close()
    return await caller.rest()


class Recorder:
    """A Patience that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[float, bool]] = []

    def silent(self, quiet_s: float, *, between_events: bool) -> None:
        self.told.append((quiet_s, between_events))
