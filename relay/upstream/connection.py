"""One HTTP/1.1 connection to an upstream: a request out, an answer in, over a non-blocking socket in the pool's poller.

What `_take` points to is the state; it handles one read:

    resting -> head -> parked -> a body reader (collect.py, splice.py) -> lingering -> resting | closed

Rules: a connection serves again only if its last answer ended exactly and nothing stray followed; an answer that has been released
can't be aborted by its former owner; nothing here raises into the poller.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import Callable
from typing import Final, Protocol

from relay.domain.channel import Origin
from relay.domain.errors import TotalTimeout, UpstreamClosed, UpstreamError, UpstreamFirstByteTimeout, UpstreamProtocol
from relay.ports import Call, ClientGone, Patience
from relay.upstream.poller import READ, WRITE, Poller
from relay.wire.chunks import ChunkScanner
from relay.wire.http_head import Head, Malformed, parse_head

READ_BYTES: Final = 64 << 10
_MOST_INTERIM: Final = 8  # 1xx answers before the final one
_SWITCHING: Final = 101
_FINAL: Final = 200
_LINGER_SWEEPS: Final = 3

BAD_HTTP: Final = "The upstream's answer is not valid HTTP."
CLOSED_EARLY: Final = "The upstream closed the connection before its answer was complete."


class Owner(Protocol):
    """What a connection needs of its pool."""

    loop: asyncio.AbstractEventLoop
    poller: Poller
    sweep_s: float
    now: Callable[[], float]

    def returned(self, connection: "Connection") -> None:
        """The answer is over and the connection can serve again."""
        ...

    def gone(self, connection: "Connection") -> None:
        """The connection is closed."""
        ...


class Body(Protocol):
    """A body reader: one answer's body, read by read."""

    @property
    def scanner(self) -> ChunkScanner | None:
        """Of a chunked body."""
        ...

    @property
    def left(self) -> int:
        """Bytes that a body with a length still lacks; negative: stray bytes followed."""
        ...

    def feed(self, data: bytes) -> None: ...
    def eof(self) -> None: ...
    def let_go(self) -> None:
        """The connection has no more to do with the caller."""
        ...

    def sweep(self, now: float, quiet_s: float) -> None: ...


class Connection:
    """See the module. Used by the pool and by body readers; callers hold an UpstreamAnswer."""

    __slots__ = (
        "_cannot_send", "_eof", "_glance", "_interim", "_lingered", "_pending", "_quiet", "_recv", "_scanner", "_take", "_upload",
        "answered", "body", "call", "fd", "future", "give_up_at", "head", "idle_since", "on_released", "origin", "owner", "patience",
        "sent_at", "sock", "was_reset",
    )  # fmt: skip

    def __init__(self, owner: Owner, origin: Origin, sock: socket.socket) -> None:
        self.owner = owner
        self.sock = sock
        self.fd = sock.fileno()
        self.origin = origin
        self.idle_since = 0.0
        self._recv = sock.recv
        self._glance = select.poll()
        self._glance.register(self.fd, select.POLLIN)
        self._rest()

    # --- resting in the pool

    def _rest(self) -> None:
        self._take: Callable[[bytes], None] = self._on_resting
        self.future: asyncio.Future[object] | None = None
        self.head: Head | None = None
        self.body: Body | None = None
        self.patience: Patience | None = None
        self.on_released: Callable[[], None] | None = None
        self.answered = False  # a byte of an answer has come
        self._scanner: ChunkScanner | None = None
        self._upload: memoryview | None = None  # what is still to be sent
        self._cannot_send = False
        self._pending = b""
        self._quiet = 0  # sweeps since the last read
        self._lingered = 0  # sweeps since the answer was over
        self._interim = 0
        self._eof = False  # seen while parked
        self.was_reset = False  # how it ended: not by a proper close

    def is_clean(self) -> bool:
        """Whether a resting connection may serve: open, and nothing to read. What nobody asked for would be another caller's answer."""
        if self.fd < 0:
            return False
        if not self._glance.poll(0):
            return True
        try:
            self._recv(1)  # under TLS it may be a ticket, which is nobody's answer
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def _on_resting(self, _data: bytes) -> None:
        self.close()

    # --- request out

    async def request(self, call: Call, patience: Patience | None, give_up_at: float, on_released: Callable[[], None]) -> Head:
        """Send the call and wait for the head. Raises UpstreamError; `answered` then says whether a byte had come back."""
        self._rest()
        self.call = call
        self.give_up_at = give_up_at
        self.patience = patience
        self.on_released = on_released
        self._take = self._on_head
        self.sent_at = self.owner.now()
        self.future = future = self.owner.loop.create_future()
        self._upload = memoryview(call.head + call.body)
        self._send()
        try:
            await future
        except BaseException:
            self.close()
            raise
        assert self.head is not None  # noqa: S101 - the future resolves with the head
        return self.head

    def _send(self) -> None:
        upload = self._upload
        if upload is not None and not self._cannot_send:
            try:
                sent = self.sock.send(upload)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                sent = 0
            except OSError:  # an upstream that refuses a long request may have closed behind its answer: read on
                sent, self._cannot_send = 0, True
            self._upload = upload[sent:] if sent < len(upload) else None
        self.watch()

    def _uploading(self) -> None:
        self._send()
        self.readable()

    # --- answer in

    def watch(self) -> None:
        """Be called when there is something to read, or room for what is still to be sent."""
        if self._upload is None or self._cannot_send:
            self.owner.poller.watch(self.fd, READ, self.readable)
        else:
            self.owner.poller.watch(self.fd, READ | WRITE, self._uploading)

    def pause(self) -> None:
        """Read no more until `resume`: the caller takes nothing."""
        self.owner.poller.forget(self.fd)

    def resume(self) -> None:
        """Read again."""
        if self.fd >= 0 and self.future is not None:
            self._quiet = 0
            self.watch()

    def readable(self) -> None:
        """One read, given to whoever takes it in this state.

        It is longer than a TLS record, so nothing that is decrypted waits where epoll can't see it.
        """
        try:
            data = self._recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:  # under TLS also an end that was not announced
            data, self.was_reset = b"", True
        self._quiet = 0
        if data:
            self._take(data)
        else:
            self._on_eof()

    def _on_head(self, data: bytes) -> None:
        self.answered = True
        data = self._pending + data
        try:
            head = parse_head(data)
            while head is not None and head.status < _FINAL:
                self._interim += 1
                if head.status == _SWITCHING or self._interim > _MOST_INTERIM:
                    self.fail(UpstreamProtocol(BAD_HTTP))
                    return
                data = data[head.size :]
                head = parse_head(data)
        except Malformed:
            self.fail(UpstreamProtocol(BAD_HTTP))
            return
        if head is None:
            self._pending = data
            return
        self.head = head
        self._pending = data[head.size :]
        self._take = self._on_parked
        self.resolve(None)

    def _on_parked(self, data: bytes) -> None:
        """Between the head and the owner's decision."""
        self._pending += data
        if len(self._pending) > READ_BYTES:
            self.pause()

    def read_body(self, body: Body) -> "asyncio.Future[object]":
        """Give the body to a reader. The future resolves to what the reader finishes with."""
        self.body, self._scanner = body, body.scanner
        self.future = future = self.owner.loop.create_future()
        self._take = body.feed
        pending, self._pending = self._pending, b""
        if not self._eof:
            self.watch()  # before the first bytes, which may pause it
        if pending:
            body.feed(pending)
        if self._eof and not future.done():
            body.eof()
        return future

    def _on_eof(self) -> None:
        if self.future is not None and self.body is not None:
            self.body.eof()
        elif self.head is not None and self.body is None:
            self._eof = True
            self.pause()
        else:
            self.fail(UpstreamClosed(CLOSED_EARLY))

    # --- the end

    def resolve(self, result: object) -> None:
        """Wake whoever waits."""
        future, self.future = self.future, None
        if future is not None and not future.done():
            future.set_result(result)

    def finish(self, result: object) -> None:
        """The answer is whole. The connection goes back to rest, lingers for the rest of the framing, or closes."""
        if self.fd < 0:
            return
        assert self.head is not None and self.body is not None  # noqa: S101, PT018 - called by the body's reader
        left = self.body.left
        self.resolve(result)
        self._detach()
        if not self.head.keep_alive or self._upload is not None or self._pending or self._eof or left:
            self.close()
        elif self._scanner is not None:
            self._take = self._on_lingering
            self._after_end(self._scanner)
        else:
            self._go_to_rest()

    def _detach(self) -> None:
        """From here on the former owner can't touch the connection."""
        on_released, self.on_released = self.on_released, None
        if on_released is not None:
            on_released()
        if self.body is not None:
            self.body.let_go()
        self.patience = None

    def _on_lingering(self, data: bytes) -> None:
        """After the end marker: only the last chunk may follow."""
        scanner = self._scanner
        assert scanner is not None  # noqa: S101 - only chunked bodies linger
        try:
            is_stray = bool(scanner.feed(data))
        except Malformed:
            is_stray = True
        if is_stray:
            self.close()
        else:
            self._after_end(scanner)

    def _after_end(self, scanner: ChunkScanner) -> None:
        if scanner.rest:
            self.close()
        elif scanner.ended:
            self._go_to_rest()
        else:
            self.watch()

    def _go_to_rest(self) -> None:
        self._rest()
        self.idle_since = self.owner.now()
        self.watch()
        self.owner.returned(self)

    def fail(self, fault: UpstreamError | ClientGone) -> None:
        """Close, and tell whoever waits why."""
        future, self.future = self.future, None
        self.close()
        if future is not None and not future.done():
            future.set_exception(fault)

    def close(self) -> None:
        """Close the socket and let go of everything. Idempotent."""
        if self.fd < 0:
            return
        self.owner.poller.forget(self.fd)
        self.fd = -1
        self._detach()
        self.sock.close()
        self.owner.gone(self)
        future, self.future = self.future, None
        if future is not None and not future.done():
            future.set_exception(UpstreamClosed(CLOSED_EARLY))

    # --- deadlines

    def sweep(self, now: float) -> None:
        """Called every `sweep_s` while an answer is under way or lingering: the one timer for all limits of time."""
        self._quiet += 1
        if self.future is None:
            if self._take == self._on_lingering:
                self._lingered += 1
                if self._lingered > _LINGER_SWEEPS:
                    self.close()
        elif now >= self.give_up_at:
            self.fail(TotalTimeout("The request took longer than this service allows."))
        elif self.body is not None:
            self.body.sweep(now, self._quiet * self.owner.sweep_s)
        elif now - self.sent_at >= self.call.channel.first_byte_s:
            self.fail(UpstreamFirstByteTimeout("The upstream did not begin to answer in time."))
        else:
            self.tell(now - self.sent_at, between_events=True)

    def tell(self, quiet_s: float, *, between_events: bool) -> None:
        """Tell the caller's side of the upstream's silence."""
        if self.patience is not None:
            try:
                self.patience.silent(quiet_s, between_events=between_events)
            except ClientGone as gone:
                self.fail(gone)
