"""The upstream of the bench: one process, one epoll loop, one write per event, so that a relay reads what a real provider would send.

Prints its two ports (plain, TLS) and ends when its standard input closes, so that it can't outlive the bench. Answers are steered by
wishes in the request (wire.py). No asyncio: at 10,000 events a second the emulator must be far from busy, or it would be what is measured.
"""

import heapq
import itertools
import json
import select
import socket
import ssl
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.bench import wire

if TYPE_CHECKING:
    from collections.abc import Callable

_WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ_BYTES = 16 << 10


class Conversation:
    """One connection: requests in, timed answers out."""

    __slots__ = ("_backlog", "_emulator", "_received", "is_tls", "sent", "sock", "wish")

    def __init__(self, emulator: "Emulator", sock: socket.socket) -> None:
        self.sock = sock
        self.is_tls = isinstance(sock, ssl.SSLSocket)
        self.wish: wire.Wish | None = None  # of the answer under way
        self.sent = 0  # content events of it
        self._emulator = emulator
        self._received = b""
        self._backlog = b""

    def ready(self, events: int) -> None:
        """Serve whatever the poller saw."""
        try:
            if events & select.EPOLLOUT:
                self.send(b"")
            if events & ~select.EPOLLOUT:
                self._read()
        except _WAITS:
            return
        except OSError:
            self.close()

    def _read(self) -> None:
        while data := self.sock.recv(_READ_BYTES):
            self._received += data
            if not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
                self._answer()
                return
        self.close()

    def _answer(self) -> None:
        if self.wish is None and (taken := wire.split_request(self._received)):
            body, self._received = taken
            self.wish, self.sent = wire.wish_of(body), 0
            self._emulator.at(time.monotonic_ns() // 1000 + self.wish.first_us, self)

    def due(self, planned_us: int) -> None:
        """Send what is due now, and plan the next event one pace after this one was planned."""
        wish = self.wish
        if wish is None:
            return
        try:
            if not wish.chunks:
                self._end(wire.WHOLE)
            elif self.sent < wish.chunks:
                if not self.sent:
                    self.send(wire.STREAM_HEAD)
                now_us = time.monotonic_ns() // 1000
                self.send(wire.content_event(self.sent, now_us))
                self.sent += 1
                late = now_us - planned_us > wish.pace_us  # never catch up with a burst
                self._emulator.at((now_us if late else planned_us) + wish.pace_us, self)
            else:
                self.send(wire.FINISH)
                self.send(wire.USAGE)
                self._end(wire.DONE)
        except OSError:
            self.close()

    def _end(self, last: bytes) -> None:
        self.wish = None
        self.send(last)
        self._answer()

    def send(self, data: bytes) -> None:
        """Write now what the socket takes, and the rest when there is room."""
        if self._backlog or not data:
            data, self._backlog = self._backlog + data, b""
        try:
            sent = self.sock.send(data) if data else 0
        except _WAITS:
            sent = 0
        if sent != len(data):
            self._backlog = data[sent:]
        self._emulator.watch(self, out=bool(self._backlog))

    def close(self) -> None:
        """Forget the answer under way, if there is one."""
        self.wish = None
        self._emulator.forget(self)
        self.sock.close()


class Emulator:
    """The loop and its clock."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._epoll = select.epoll()
        self._tls = tls
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._outgoing: set[int] = set()
        self._plan: list[tuple[int, int, Conversation, wire.Wish]] = []
        self._order = itertools.count()

    def listen(self, *, tls: bool) -> int:
        """Open a port."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        listener.settimeout(0)
        self._epoll.register(listener, select.EPOLLIN)

        def accept(_events: int) -> None:
            with suppress(BlockingIOError):
                while True:
                    self._accept(listener.accept()[0], tls=tls)

        self._handlers[listener.fileno()] = accept
        return int(listener.getsockname()[1])

    def _accept(self, plain: socket.socket, *, tls: bool) -> None:
        plain.settimeout(0)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls and self._tls is not None:
            self._shake_hands(self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False))
        else:
            self._serve(plain)

    def _shake_hands(self, sock: ssl.SSLSocket) -> None:
        def go_on(_events: int) -> None:
            try:
                sock.do_handshake()
            except ssl.SSLWantReadError:
                return
            except OSError:
                self._epoll.unregister(sock)
                del self._handlers[sock.fileno()]
                sock.close()
                return
            self._epoll.unregister(sock)
            self._serve(sock)

        self._handlers[sock.fileno()] = go_on
        self._epoll.register(sock, select.EPOLLIN)

    def _serve(self, sock: socket.socket) -> None:
        self._handlers[sock.fileno()] = Conversation(self, sock).ready
        self._epoll.register(sock, select.EPOLLIN)

    def watch(self, conversation: Conversation, *, out: bool) -> None:
        """Watch for room to write, or no longer."""
        fd = conversation.sock.fileno()
        if out != (fd in self._outgoing):
            self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if out else 0))
            (self._outgoing.add if out else self._outgoing.discard)(fd)

    def forget(self, conversation: Conversation) -> None:
        """Stop watching a connection that is about to be closed."""
        fd = conversation.sock.fileno()
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            self._outgoing.discard(fd)

    def at(self, due_us: int, conversation: Conversation) -> None:
        """Plan the next step of the answer under way."""
        if conversation.wish is not None:
            heapq.heappush(self._plan, (due_us, next(self._order), conversation, conversation.wish))

    def run(self) -> None:
        """Serve until standard input closes."""
        ended: list[bool] = []
        self._epoll.register(sys.stdin, select.EPOLLIN)
        self._handlers[sys.stdin.fileno()] = lambda _events: ended.append(True)
        ours, handlers, plan = [self._epoll], self._handlers, self._plan
        while not ended:
            # select() and not the poller's own timeout, which is whole milliseconds: events would leave in bunches.
            wait_s = max(0.0, plan[0][0] / 1e6 - time.monotonic()) if plan else None
            select.select(ours, (), (), wait_s)
            for fd, events in self._epoll.poll(0):
                handler = handlers.get(fd)
                if handler is not None:
                    handler(events)
            now_us = time.monotonic_ns() // 1000
            while plan and plan[0][0] <= now_us:
                due_us, _, conversation, wish = heapq.heappop(plan)
                if conversation.wish is wish:  # the caller may have left
                    conversation.due(due_us)


def main(certificate: str | None) -> None:
    """Serve. `certificate` names a PEM file with key and chain for the TLS port."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    emulator = Emulator(context)
    ports = [emulator.listen(tls=False), emulator.listen(tls=True)]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    emulator.run()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
