"""Body readers that move a stream to the caller: the upstream's bytes are written to his socket as they come.

The hot path: `Splicer.feed` runs for every read of every stream. It copies nothing, parses nothing, logs nothing and creates no task.
Two edges are taken slowly: nothing leaves before the first event has shown that it is a stream and no refusal, and the end marker
does not leave at all: it is handed over with the `Ending`, for whoever settles first.
"""

import os
import re
from typing import Final

from relay.domain.errors import UpstreamClosed, UpstreamError, UpstreamIdleTimeout, UpstreamProtocol, UpstreamRefused
from relay.ports import ClientGone, Ending
from relay.upstream.connection import CLOSED_EARLY, Connection
from relay.upstream.outlet import SEND_TIMEOUT, SEND_TIMEOUT_S, SocketOutlet
from relay.wire.chunks import ChunkScanner, frame, spans_of
from relay.wire.http_head import Framing, Head, Malformed
from relay.wire.openai_opening import Opening, judge_opening
from relay.wire.openai_stream import LineTooLong, StreamTap

_MOST_HELD: Final = 1 << 20
_LONGEST_OPENING: Final = 64 << 10  # what is longer without an event passes unjudged
_REFUSED: Final = "The upstream failed to answer."
_BAD_STREAM: Final = "The upstream's stream is not valid."
_BLANK_LINE = re.compile(rb"(?:\n\r?\n|\r\r)\Z")

_write = os.write


class _Mover:
    """What both readers have in common: the caller's side, the deadlines, the end."""

    __slots__ = ("_connection", "_held", "_marker", "_now", "_on_edge", "_outlet", "first_token_at", "tap")

    def __init__(self, connection: Connection, outlet: SocketOutlet, tap: StreamTap) -> None:
        self.tap = tap
        self.first_token_at: float | None = None
        self._connection = connection
        self._outlet = outlet
        self._now = connection.owner.now
        self._on_edge = True  # before the end of the first event's data, or behind the beginning of the end marker
        self._held = b""  # what is kept back there, as it will be written
        self._marker = b""  # the end marker and what follows it, without framing

    def _begins_well(self, text: bytes, *, over: bool) -> bool:
        """Look at all that has come while another channel can still be tried. `over`: no more will."""
        is_too_long = len(text) > _LONGEST_OPENING
        opening = judge_opening(text + b"\n" if over or is_too_long else text)
        if opening is Opening.REFUSAL:
            self._fail(UpstreamRefused(_REFUSED))
        elif opening is Opening.FINE or is_too_long:
            self._on_edge = False
        return not self._on_edge

    def _note_token(self) -> None:
        if self.first_token_at is None and self.tap.first_token:
            self.first_token_at = self._now()

    def _queue(self, data: bytes) -> None:
        """Write behind what waits, or the first bytes behind the head."""
        try:
            self._outlet.write(data)
        except ClientGone as gone:
            self._fail(gone)
            return
        if self._outlet.stuck_since is not None:
            self._pause()

    def _pause(self) -> None:
        self._outlet.when_room(self._connection.resume)
        self._connection.pause()

    def _end(self, *, over: bool, whole: bool) -> None:
        """Finish when the body is over, or with the event of the end marker. `whole`: nothing of the framing is missing."""
        if over or (whole and _BLANK_LINE.search(self._marker)):
            self._over()
        elif len(self._marker) > _MOST_HELD:
            self._fail(UpstreamProtocol(_BAD_STREAM))

    def _over(self) -> None:
        if self.tap.failed:
            self._fail(UpstreamRefused(_REFUSED))
        elif self.tap.finished:
            self._connection.finish(Ending(self._held))
        else:
            self._fail(UpstreamClosed("The upstream ended its answer before it was complete."))

    def _fail(self, fault: UpstreamError | ClientGone) -> None:
        self._connection.fail(fault)

    def _note_chunk(self) -> None:
        """Say whether what was written ends inside a chunk."""

    def let_go(self) -> None:
        """The caller's socket is nobody's business here any more."""
        self._note_chunk()
        self._outlet.when_room(None)

    def sweep(self, now: float, quiet_s: float) -> None:
        """Look at the deadlines: the caller's while bytes wait for him, else the upstream's."""
        stuck_since = self._outlet.stuck_since
        if stuck_since is not None:
            if now - stuck_since >= SEND_TIMEOUT_S:
                self._fail(ClientGone(SEND_TIMEOUT))
        elif quiet_s >= self._connection.call.channel.idle_s:
            self._fail(UpstreamIdleTimeout("The upstream fell silent before its answer was complete."))
        else:
            self._note_chunk()
            if self._on_edge and not self.tap.done:  # whatever comes, the caller hears nothing of it yet
                quiet_s = now - self._connection.sent_at
            self._connection.tell(quiet_s, between_events=self.tap.between_events)


class Splicer(_Mover):
    """For chunked streams, whose framing is passed on as it is. Finishes with an Ending."""

    __slots__ = ("_fd", "scanner")

    left: Final = 0

    def __init__(self, connection: Connection, outlet: SocketOutlet, tap: StreamTap) -> None:
        super().__init__(connection, outlet, tap)
        self.scanner = ChunkScanner()
        self._fd = outlet.fd
        tap.framing = 2

    def feed(self, data: bytes) -> None:
        """Take one read."""
        if self._on_edge:
            self._feed_edge(data)
            return
        scanner, tap = self.scanner, self.tap
        try:
            data = scanner.feed(data)
            at = tap.feed_whole(data) if scanner.whole else tap.feed_cut(data, scanner.payload_spans())
        except (Malformed, LineTooLong):
            self._fail(UpstreamProtocol(_BAD_STREAM))
            return
        if self.first_token_at is None and tap.first_token:
            self.first_token_at = self._now()
        if at >= 0:
            data = self._hold(data, at, scanner.payload_spans())
        if self._outlet.is_clear:
            try:
                sent = _write(self._fd, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._fail(ClientGone())
                return
            if sent != len(data):
                self._outlet.keep(data[sent:])
                self._pause()
        else:
            self._queue(data)
        if at >= 0 or scanner.last_seen:
            self._end(over=scanner.last_seen, whole=scanner.at_boundary)

    def _feed_edge(self, data: bytes) -> None:
        scanner, tap = self.scanner, self.tap
        try:
            data = scanner.feed(data)
            if tap.done:
                self._held += data
                self._marker += b"".join([data[start:end] for start, end in scanner.payload_spans()])
            else:
                self._open(self._held + data)
        except (Malformed, LineTooLong):
            self._fail(UpstreamProtocol(_BAD_STREAM))
            return
        if tap.done or scanner.last_seen:
            self._end(over=scanner.last_seen, whole=scanner.at_boundary)

    def _open(self, data: bytes) -> None:
        """Let go of all that has come, if it begins well."""
        spans = spans_of(data)
        if self._begins_well(b"".join([data[start:end] for start, end in spans]), over=self.scanner.last_seen):
            self._held = b""
            at = self.tap.feed_cut(data, spans)
            self._note_token()
            self._queue(data if at < 0 else self._hold(data, at, spans))
        else:
            self._held = data

    def _hold(self, data: bytes, at: int, spans: list[tuple[int, int]]) -> bytes:
        """Keep the end marker back, return what comes before it."""
        self._on_edge, self._held = True, data[at:]
        self._marker = b"".join([data[max(start, at) : end] for start, end in spans])
        return data[:at]

    def _note_chunk(self) -> None:
        self.tap.chunk_is_open = not self._on_edge and not self.scanner.at_boundary

    def eof(self) -> None:
        """The upstream has closed: a chunked stream is never complete this way, unless the end marker is whole."""
        if self.tap.done and self.scanner.at_boundary:
            self._over()
        else:
            self._fail(UpstreamClosed(CLOSED_EARLY))


class Framer(_Mover):
    """For streams that have a length or end with the connection: each read becomes a chunk. Finishes with an Ending."""

    __slots__ = ("_framing", "left")

    scanner: Final = None

    def __init__(self, connection: Connection, head: Head, outlet: SocketOutlet, tap: StreamTap) -> None:
        super().__init__(connection, outlet, tap)
        self.left = head.length
        self._framing = head.framing

    def feed(self, data: bytes) -> None:
        """Take one read."""
        over = False
        if self._framing is Framing.LENGTH:
            over = len(data) >= self.left
            data, self.left = data[: self.left], self.left - len(data)
        self._take(data, over=over)
        if over or self.tap.done:
            self._end(over=over, whole=True)

    def _take(self, data: bytes, *, over: bool) -> None:
        tap = self.tap
        if tap.done:
            self._marker += data
        elif self._on_edge and not self._begins_well(self._held + data, over=over):
            self._held += data  # without its frame yet
            return
        else:
            data = self._held + data
            try:
                at = tap.feed_whole(data) if data.endswith(b"\n") else tap.feed_cut(data, [(0, len(data))])
            except LineTooLong:
                self._fail(UpstreamProtocol(_BAD_STREAM))
                return
            self._note_token()
            if at >= 0:
                self._marker, data = data[at:], data[:at]
            if data:
                self._queue(frame(data))
        self._held = frame(self._marker) if self._marker else b""

    def eof(self) -> None:
        """The end of a stream without framing, if the model had finished; a cut of any other."""
        if self.tap.done or (self._framing is Framing.CLOSE and not self._connection.was_reset):
            if self._on_edge and not self.tap.done:
                self._take(b"", over=True)
            self._over()
        else:
            self._fail(UpstreamClosed(CLOSED_EARLY))
