"""A private epoll inside the event loop: its own descriptor is the only one the loop watches.

One wake-up of the loop then serves every ready upstream with plain calls, without a transport, a future or a task per read.
Measured ahead of asyncio's and uvloop's transports, most of all under TLS (docs/adr/0003).
"""

import asyncio
import select
from collections.abc import Callable
from typing import Final

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT

_MOST_EVENTS: Final = 256  # per wake-up, so that other work of the loop gets its turn


class Poller:
    """Descriptor -> callback. Level-triggered; a callback gets no arguments and must not raise."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._events: dict[int, int] = {}
        loop.add_reader(self._epoll.fileno(), self._ready)

    def watch(self, fd: int, events: int, callback: Callable[[], None]) -> None:
        """Call back whenever `fd` is ready; replaces what was watched on it before."""
        watched = self._events.get(fd)
        if watched is None:
            self._epoll.register(fd, events)
        elif watched != events:
            self._epoll.modify(fd, events)
        self._events[fd] = events
        self._callbacks[fd] = callback

    def is_watched(self, fd: int) -> bool:
        """Whether somebody waits for it."""
        return fd in self._events

    def forget(self, fd: int) -> None:
        """Stop watching. Must come before the descriptor is closed. Idempotent."""
        if self._events.pop(fd, None) is not None:
            del self._callbacks[fd]
            self._epoll.unregister(fd)

    async def wait(self, fd: int, events: int) -> None:
        """Wait once for `fd`, which nobody else watches."""
        future = self._loop.create_future()

        def ready() -> None:
            self.forget(fd)
            if not future.done():
                future.set_result(None)

        self.watch(fd, events, ready)
        try:
            await future
        finally:
            self.forget(fd)

    def _ready(self) -> None:
        callbacks = self._callbacks
        for fd, _ in self._epoll.poll(0, _MOST_EVENTS):
            callback = callbacks.get(fd)  # an earlier callback of this round may have let go of it
            if callback is not None:
                try:
                    callback()
                except BaseException:  # a defect: it must not come again in each round, before all others
                    self.forget(fd)
                    raise

    def close(self) -> None:
        """Let go of everything."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._callbacks.clear()
            self._events.clear()
            self._epoll.close()
