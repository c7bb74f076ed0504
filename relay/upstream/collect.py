"""A body reader that collects an answer whole, up to a limit."""

from relay.domain.errors import UpstreamClosed, UpstreamIdleTimeout, UpstreamProtocol
from relay.upstream.connection import BAD_HTTP, CLOSED_EARLY, Connection
from relay.wire.chunks import ChunkScanner
from relay.wire.http_head import Framing, Head, Malformed


class Collector:
    """Finishes with the body's bytes."""

    __slots__ = ("_connection", "_framing", "_limit", "_parts", "_size", "left", "scanner")

    def __init__(self, connection: Connection, head: Head, limit: int) -> None:
        self.scanner = ChunkScanner() if head.framing is Framing.CHUNKED else None
        self.left = head.length
        self._connection = connection
        self._framing = head.framing
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take one read."""
        scanner = self.scanner
        if scanner is not None:
            try:
                data = scanner.feed(data)
            except Malformed:
                self._connection.fail(UpstreamProtocol(BAD_HTTP))
                return
            self._parts.append(b"".join([data[start:end] for start, end in scanner.payload_spans()]))
            over = scanner.last_seen
        elif self._framing is Framing.LENGTH:
            self._parts.append(data[: self.left])
            over = len(data) >= self.left
            self.left -= len(data)
        else:
            self._parts.append(data)
            over = False
        self._size += len(data)
        if self._size > self._limit:
            self._connection.fail(UpstreamProtocol("The upstream's answer is too long."))
        elif over:
            self._connection.finish(b"".join(self._parts))

    def eof(self) -> None:
        """The upstream has closed: the end of a body without framing, a cut of any other."""
        if self._framing is Framing.CLOSE and not self._connection.was_reset:
            self._connection.finish(b"".join(self._parts))
        else:
            self._connection.fail(UpstreamClosed(CLOSED_EARLY))

    def let_go(self) -> None:
        """Nothing is held of the caller's."""

    def sweep(self, _now: float, quiet_s: float) -> None:
        """Look at the deadline."""
        if quiet_s >= self._connection.call.channel.idle_s:
            self._connection.fail(UpstreamIdleTimeout("The upstream fell silent before its answer was complete."))
        else:
            self._connection.tell(quiet_s, between_events=True)
