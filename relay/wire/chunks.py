"""The chunked coding (RFC 9112 section 7.1), followed without decoding it: what goes on to the client are the upstream's own bytes.

`ChunkScanner.feed` returns what may be forwarded of one read: in the usual case the very object it was given, so nothing is
copied. Never forwarded are a size line that is not whole yet, chunk extensions, and the last chunk with its trailers: the end
of a body is written by whoever knows that it may end.
"""

import re
from typing import Final

from relay.wire.http_head import Malformed, read_field

MAX_SIZE_LINE: Final = 1024
"""Longest size line in bytes, extensions included, its line end not."""

MAX_TRAILERS: Final = 8 << 10
"""Longest trailer section in bytes, the empty line included."""

_LF: Final = 10

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,10})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_PLAIN = re.compile(rb"[0-9A-Fa-f]{1,10}")
_TRAILERS_END = re.compile(rb"(?:\A|\r\n)\r\n")
_KNOWN_SIZES: Final[dict[bytes, int]] = {}  # size lines already judged, so that the usual ones cost one look-up
_KNOWN_LIMIT: Final = 8192
_LONG_LINE: Final = "a chunk's size line is too long"


def _size_of(line: bytes) -> int:
    """Bytes of the chunk that this size line opens: 0 for the last one, at most 2**40 - 1. Raises Malformed."""
    if len(line) > MAX_SIZE_LINE:
        raise Malformed(_LONG_LINE)
    found = _SIZE.fullmatch(line)
    if not found:
        msg = "bad chunk size"
        raise Malformed(msg)
    size = int(found[1], 16)
    if size and len(_KNOWN_SIZES) < _KNOWN_LIMIT and _PLAIN.fullmatch(line):
        _KNOWN_SIZES[line] = size
    return size


def _without_extensions(data: bytes, start: int) -> bytes:
    """The same chunks, the size lines from `start` on without their extensions. One pass, whatever the number of them. Raises Malformed."""
    parts: list[bytes] = []
    copied, pos = 0, start
    while pos < len(data) and (line_end := data.find(b"\r\n", pos)) >= 0:
        line = data[pos:line_end]
        size = _size_of(line)
        if not size:
            break
        if not _PLAIN.fullmatch(line):
            parts += data[copied:pos], b"%x" % size
            copied = line_end
        pos = line_end + 2 + size + 2
    return b"".join(parts) + data[copied:]


def frame(payload: bytes) -> bytes:
    """One chunk that holds `payload` (at least one byte)."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


LAST_CHUNK: Final = b"0\r\n\r\n"


def spans_of(chunks: bytes, pos: int = 0) -> list[tuple[int, int]]:
    """Where payload lies in plain chunks from the size line at `pos` on, the last of which may be cut in its payload: (from, to) pairs."""
    spans = []
    while pos < len(chunks) and (line_end := chunks.find(b"\r\n", pos)) >= 0:
        begin = line_end + 2
        end = begin + int(chunks[pos:line_end], 16)
        spans.append((begin, min(end, len(chunks))))
        pos = end + 2
    return spans


class ChunkScanner:
    """Follows one chunked body. `feed` every read in order; never after `ended`."""

    __slots__ = ("_from_fresh", "_from_left", "_part", "_seen", "_trailers", "at_boundary", "ended", "last_seen", "left", "rest", "whole")

    def __init__(self) -> None:
        self.left = 0  # payload bytes of the open chunk still to come
        self.at_boundary = True  # the next byte belongs to a size line
        self.whole = True  # the last read was whole chunks only, each ending in a line feed
        self.last_seen = False  # the last chunk's size line was read
        self.ended = False  # its trailers too
        self.rest = b""  # bytes after the end: never part of this answer
        self._part = b""
        self._trailers = b""
        self._seen = b""
        self._from_left = 0
        self._from_fresh = True

    def feed(self, data: bytes) -> bytes:  # noqa: C901, PLR0912 - runs for each read of each stream: a call would cost as much as the rest
        """Take one read, return what may be forwarded of it. Raises Malformed."""
        if self.last_seen:
            self._trailer(data)
            self._seen = b""
            return b""
        if self._part:
            data = self._part + data
            self._part = b""
        end, pos, fresh = len(data), self.left, self.at_boundary
        self._seen, self._from_left, self._from_fresh = data, pos, fresh
        whole = fresh
        while pos <= end:
            if fresh:
                start = pos
            elif data[pos : pos + 2] == b"\r\n":
                start = pos + 2
            elif pos == end or data[pos:] == b"\r":  # the payload's line end is still to come
                return self._stop_before(data, pos, fresh=False)
            else:
                msg = "a chunk does not end where its size says"
                raise Malformed(msg)
            if start == end:
                self.left, self.at_boundary, self.whole = 0, True, whole
                return data
            line_end = data.find(b"\r\n", start)
            if line_end < 0:
                return self._stop_before(data, start, fresh=True)
            line = data[start:line_end]
            size = _KNOWN_SIZES.get(line, 0)
            if not size:
                size = _size_of(line)
                if not size:
                    return self._last(data, start, line_end + 2, whole=whole)
                if not _PLAIN.fullmatch(line):  # an extension is hop-by-hop: it ends here
                    data = self._seen = _without_extensions(data, start)
                    end, line_end = len(data), data.find(b"\r\n", start)
            pos = line_end + 2 + size
            fresh = False
            if pos <= end and data[pos - 1] != _LF:
                whole = False
        self.left, self.at_boundary, self.whole = pos - end, False, False
        return data

    def _stop_before(self, data: bytes, pos: int, *, fresh: bool) -> bytes:
        """Keep an unfinished line end or size line back: what was forwarded so far ends at a clean place."""
        if len(data) - pos > MAX_SIZE_LINE + 1:  # + 1: the first half of the line end
            raise Malformed(_LONG_LINE)
        self._part = data[pos:]
        self.left, self.at_boundary, self.whole = 0, fresh, False
        self._seen = data[:pos]
        return self._seen

    def _last(self, data: bytes, start: int, trailers: int, *, whole: bool) -> bytes:
        self.last_seen, self.left, self.at_boundary, self.whole = True, 0, True, whole
        self._trailer(data[trailers:])
        self._seen = data[:start]
        return self._seen

    def _trailer(self, data: bytes) -> None:
        """Trailers are read to their end and dropped."""
        if self.ended:
            self.rest += data
            return
        section = self._trailers + data
        found = _TRAILERS_END.search(section)
        end = found.end() if found else len(section) + 1  # at least
        if end > MAX_TRAILERS:
            msg = "the trailers are too long"
            raise Malformed(msg)
        if not found:
            self._trailers = section
            return
        if found.start():
            for line in section[: found.start()].split(b"\r\n"):
                read_field(line)
        self.ended, self.rest, self._trailers = True, section[end:], b""

    def payload_spans(self) -> list[tuple[int, int]]:
        """Where payload lies in what the last `feed` returned: (from, to) pairs. For the reads that are not `whole`."""
        if self._from_fresh:
            return spans_of(self._seen)
        first = min(self._from_left, len(self._seen))
        rest = spans_of(self._seen, first + 2)
        return [(0, first), *rest] if first else rest
