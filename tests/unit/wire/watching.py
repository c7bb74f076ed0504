"""Streams led past a StreamTap the way upstream/splice.py does it, and what plain reading of the same bytes finds."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.domain.usage import Usage, usage_from
from relay.wire.chunks import LAST_CHUNK, ChunkScanner, frame
from relay.wire.openai_stream import StreamTap


@dataclass
class Watched:
    """A stream as it went through a reader: what left, what was held, what the tap knows."""

    tap: StreamTap = field(default_factory=StreamTap)
    left: bytes = b""  # payload that left before the end marker was seen
    held: bytes = b""  # payload kept back from then on

    @property
    def facts(self) -> tuple[object, ...]:
        tap = self.tap
        return (tap.usage(), tap.first_token, tap.done, tap.finished)

    def take(self, data: bytes, spans: Sequence[tuple[int, int]], at: int) -> None:
        cut = len(data) if at < 0 else at
        self.left += b"".join(data[start : min(end, cut)] for start, end in spans if start < cut)
        self.held += b"".join(data[max(start, cut) : end] for start, end in spans if end > cut)

    def check_place(self, *, may: bool) -> None:
        """Something may be put behind what left if that ends with an event's empty line (or nothing has left)."""
        tap, left = self.tap, self.left
        is_over = not left.lstrip(b"\r\n") or left.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
        assert not tap.between_events or (may and is_over and not tap.done)
        if not left.startswith((b"\r", b"\n")) and not left.endswith(b"\r"):  # there the tap may be careful
            assert tap.between_events is (may and is_over and not tap.done)
        assert tap.untouched is (left + self.held == b"")


def watch_chunks(reads: Sequence[bytes]) -> Watched:
    """As upstream/splice.py follows a chunked stream."""
    out, scanner = Watched(), ChunkScanner()
    tap = out.tap
    tap.framing = 2
    for read in reads:
        if scanner.ended:
            break
        data = scanner.feed(read)
        if tap.done:
            out.held += b"".join(data[start:end] for start, end in scanner.payload_spans())
            continue
        at = tap.feed_whole(data) if scanner.whole else tap.feed_cut(data, scanner.payload_spans())
        out.take(data, scanner.payload_spans(), at)
        tap.chunk_is_open = not scanner.at_boundary
        out.check_place(may=scanner.at_boundary)
    return out


def watch_lines(reads: Sequence[bytes]) -> Watched:
    """As upstream/splice.py follows a stream without chunks."""
    out = Watched()
    tap = out.tap
    for read in reads:
        if tap.done:
            out.held += read
            continue
        at = tap.feed_whole(read) if read.endswith(b"\n") else tap.feed_cut(read, [(0, len(read))])
        out.take(read, [(0, len(read))], at)
        out.check_place(may=True)
    return out


def chunked(payloads: Sequence[bytes]) -> bytes:
    return b"".join(map(frame, payloads)) + LAST_CHUNK


def lines_of(stream: bytes) -> list[bytes]:
    """By the event stream format: LF, CRLF and CR end a line."""
    return re.split(rb"\r\n|\n|\r", stream)


def marker_of(stream: bytes) -> range | None:
    """Where the end marker is: at the beginning of a line."""
    found = re.search(rb"(?:\A|[\r\n])(data: ?\[DONE\])", stream)
    return range(*found.span(1)) if found else None


def usage_by_parsing(stream: bytes) -> Usage | None:
    """The last usage that can be true, found by reading each event."""
    events = [json.loads(line[5:]) for line in lines_of(stream) if line.startswith(b"data:") and b"[DONE]" not in line[:12]]
    found = [usage for event in events if (usage := usage_from(event.get("usage")))]
    return found[-1] if found else None


def every(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
