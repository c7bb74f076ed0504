"""The caller's side of a stream: bytes are written straight to a duplicate of his socket.

A duplicate, because the server's own descriptor may be closed, and its number given to another caller, before we hear of it.
Whatever the socket does not take waits here and its writer is paused, so at most one read's worth waits per slow reader.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from relay.config.ladder import CLIENT_SEND_S
from relay.ports import ClientGone
from relay.upstream.poller import WRITE, Poller

SEND_TIMEOUT_S: Final = CLIENT_SEND_S
"""A caller that takes nothing for so long is let go. The edge has the same limit towards its clients."""

SEND_TIMEOUT: Final = "send_timeout"
"""Why he is gone, then."""


class SocketOutlet:
    """Implements relay.ports.Outlet."""

    __slots__ = (
        "_flushed",
        "_head",
        "_limit",
        "_loop",
        "_now",
        "_on_room",
        "_poller",
        "_waiting",
        "begun",
        "fd",
        "is_clear",
        "stuck_since",
    )

    def __init__(self, fd: int, poller: Poller, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self.fd = fd
        self.begun = False
        self.is_clear = False  # the head is out and nothing waits: bytes may be written to `fd` as they are
        self.stuck_since: float | None = None  # monotonic; when the socket last took or refused bytes, while some wait
        self._head = b""
        self._poller = poller
        self._loop = loop
        self._now = now
        self._waiting = b""
        self._on_room: Callable[[], None] | None = None
        self._flushed: asyncio.Future[None] | None = None
        self._limit: asyncio.Timeout | None = None

    def lead(self, head: bytes) -> None:
        """Put `head` in front of the first bytes."""
        self._head = head

    def write(self, data: bytes) -> None:
        """Write now, or behind what waits already."""
        if self._waiting:
            self._waiting += data
            return
        if not self.begun:
            self.begun, data = True, self._head + data
        try:
            sent = os.write(self.fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            raise ClientGone from None
        if sent == len(data):
            self.is_clear = True
        else:
            self.keep(data[sent:])

    def keep(self, rest: bytes) -> None:
        """Keep what the socket did not take and send it when there is room."""
        self._waiting += rest
        self.is_clear = False
        if self.stuck_since is None:
            self.stuck_since = self._now()
            self._poller.watch(self.fd, WRITE, self._room)

    @property
    def waiting(self) -> int:
        """How many bytes wait for the caller."""
        return len(self._waiting)

    def when_room(self, callback: Callable[[], None] | None) -> None:
        """Call back once when nothing waits any more (or writing failed)."""
        self._on_room = callback

    def _room(self) -> None:
        gone = False
        try:
            sent = os.write(self.fd, self._waiting)
        except BlockingIOError:
            return
        except OSError:
            sent, gone = len(self._waiting), True
        self._waiting = self._waiting[sent:]
        if self._waiting:
            self.stuck_since = self._now()
            if self._limit is not None and not self._limit.expired():
                self._limit.reschedule(self._loop.time() + SEND_TIMEOUT_S)
            return
        self.stuck_since, self.is_clear = None, True
        self._poller.forget(self.fd)
        if self._flushed is not None and not self._flushed.done():
            if gone:
                self._flushed.set_exception(ClientGone())
            else:
                self._flushed.set_result(None)
        callback, self._on_room = self._on_room, None
        if callback is not None:
            callback()

    async def flushed(self) -> None:
        """Wait until nothing waits any more, as long as he takes something."""
        if not self._waiting:
            return
        self._flushed = self._loop.create_future()
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S) as self._limit:
                await self._flushed
        except TimeoutError:
            raise ClientGone(SEND_TIMEOUT) from None
        finally:
            self._limit = None

    def close(self) -> None:
        """Close the duplicate; the server's own descriptor stays open."""
        if self.fd >= 0:
            self._poller.forget(self.fd)
            os.close(self.fd)
            self.fd = -1
            self._waiting = b""
            self._on_room = None
