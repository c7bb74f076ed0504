"""What must be known of an OpenAI event stream while its bytes pass by: the first token, the usage, the end.

No event is parsed on the way. A read that is whole chunks ending in line feeds (the usual case) is searched as it is; of any other
read, whole lines are searched once they are whole. Positions are offsets in the bytes given, so that the caller can hold back the end
of the stream. Lines end as in the event stream format (html.spec.whatwg.org, 9.2.5): LF, CRLF or CR.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from relay.domain.usage import Usage, usage_from
from relay.wire.chunks import spans_of

MAX_LINE: Final = 4 << 20
"""Longest line of an event stream in bytes, its end not counted; a longer one is a fault of the upstream."""

_DONE: Final = b"[DONE]"
_DONE_LINE = re.compile(rb"(?<![^\r\n])data: ?\[DONE\]")  # at the beginning of a line
_DATA: Final = b"data:"
_LINE_ENDS: Final = b"\r\n"
_USAGE: Final = b'"usage"'
_USAGE_OBJECT = re.compile(rb'"usage"\s*:\s*\{')
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"[^"]')
_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\{')
_ERROR_LINE = re.compile(rb'(?<![^\r\n])data: ?\{\s*"error"\s*:\s*[{"]')
_LONGEST_END: Final = 3
_EVENT_END = re.compile(rb"\n\r?\n\Z")
_TOKEN = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|text|arguments|name)"\s*:\s*(?:"[^"]|\[\s*\{)')
_MOST_UNREAD: Final = 16
_LONGEST_UNREAD: Final = 4096


class LineTooLong(ValueError):
    """A line of the stream passed MAX_LINE."""


class StreamTap:
    """Watches one stream. `feed_whole` and `feed_cut` return where the end marker begins in this read, or -1."""

    __slots__ = ("_around_usage", "_before", "_last", "_line", "_unread", "_usage", "chunk_is_open", "done", "first_token", "framing")

    def __init__(self) -> None:
        self.framing = 0  # bytes of chunk framing at the end of each whole read: 2 where reads are raw chunks
        self.chunk_is_open = False  # set by the reader when it stops inside a chunk
        self.first_token = False  # a piece of content, reasoning or a tool call has passed
        self.done = False  # `data: [DONE]` has been reached
        self._usage: Usage | None = None
        self._unread: list[bytes] = []  # reads with a usage, younger than `_usage`
        self._line = bytearray()  # an unfinished line, while reads are not whole
        self._last = b""  # the last whole lines, framing included
        self._before = b""  # those before them
        self._around_usage = b""  # those with the last usage, and those before them

    def feed_whole(self, data: bytes) -> int:
        """Take a read of whole chunks (or lines), framing included. Cheap: this runs for every read of every stream."""
        if self._line:
            return self.feed_cut(data, spans_of(data) if self.framing else [(0, len(data))])
        if not self.first_token and _TOKEN.search(data):
            self.first_token = True
        at = data.rfind(_USAGE)  # rfind: measured at a third of the cost of `in`, which stumbles over every quote
        if at >= 0:
            while not _USAGE_OBJECT.match(data, at):  # a null, or the mere word
                at = data.rfind(_USAGE, 0, at)
                if at < 0:
                    break
            else:
                self._keep_usage(data)
        if data:
            self._before = self._last
            self._last = data
        if data.rfind(_DONE) >= 0 and (found := _DONE_LINE.search(data)):
            self.done = True
            return found.start()
        return -1

    def feed_cut(self, data: bytes, spans: list[tuple[int, int]]) -> int:
        """Take a read cut anywhere; `spans` says where its payload lies. Raises LineTooLong."""
        payload = b"".join([data[start:end] for start, end in spans])
        held = len(self._line)
        if self._line.endswith(b"\r"):  # a line end, or half of one
            self._line.pop()
            payload = b"\r" + payload
        whole = max(payload.rfind(b"\n"), payload.rfind(b"\r", 0, -1)) + 1
        begun = len(self._line) + whole if whole else 0  # where the unfinished line begins, in it and the payload together
        at = -1
        if whole:
            lines = bytes(self._line) + payload[:whole]
            self._line.clear()
            at = self._take_lines(lines)
        self._line += payload[whole:]
        if len(self._line) > MAX_LINE + 1:  # + 1: a line end, or half of one
            raise LineTooLong
        if at < 0 and _DONE_LINE.match(self._line):  # some servers never end their last line
            self.done = True
            at = begun
        return _offset(spans, max(0, at - held)) if at >= 0 else -1

    def _take_lines(self, lines: bytes) -> int:
        """What `feed_whole` does, for whole lines without framing that were put together here."""
        if len(lines) > MAX_LINE and max(map(len, lines.splitlines())) > MAX_LINE:
            raise LineTooLong
        if not self.first_token and _TOKEN.search(lines):
            self.first_token = True
        if _USAGE_OBJECT.search(lines):
            self._keep_usage(lines)
        if lines.strip(_LINE_ENDS):
            self._before = self._last
            self._last = lines + _LINE_ENDS[: self.framing]
        else:
            self._take_blank(lines)
        found = _DONE_LINE.search(lines)
        if found is None:
            return -1
        self.done = True
        return found.start()

    def _take_blank(self, lines: bytes) -> None:
        """Empty lines join the event that they end, which is looked at again when the stream is over; further ones say nothing."""
        if not self._event_is_over():
            framing = _LINE_ENDS[: self.framing]
            self._last = self._last.removesuffix(framing) + lines + framing

    def _keep_usage(self, data: bytes) -> None:
        """Most streams report usage once, some with each token: so it is parsed late."""
        self._around_usage = self._before + self._last + data
        self._unread.append(data)
        if len(self._unread) > _MOST_UNREAD or len(data) > _LONGEST_UNREAD:
            self._read_usage()

    def _read_usage(self) -> None:
        while self._unread:
            usage = _usage_in(self._unread.pop())
            if usage is not None:
                self._usage = usage
                self._unread.clear()

    def usage(self) -> Usage | None:
        """The last usage that was reported and can be true."""
        self._read_usage()
        return self._usage

    @property
    def finished(self) -> bool:
        """Whether the model said that it had finished: in the last event with choices, among the last ones or those around the usage.

        Judged at the end of a stream that had no end marker.
        """
        if self.done:
            return True
        for line in reversed((self._around_usage + self._before + self._last).splitlines()):
            if line.startswith(_DATA) and _CHOICES.search(line):
                return bool(_FINISHED.search(line))
        return False

    @property
    def failed(self) -> bool:
        """Whether an error is among the last events. Judged at the end of a stream."""
        return bool(_ERROR_LINE.search(self._before + self._last))

    @property
    def untouched(self) -> bool:
        """Whether nothing of the stream has passed."""
        return not self._last and not self._line

    @property
    def between_events(self) -> bool:
        """Whether the last event is whole, so that something may be put behind it. Never after the end marker, whose bytes are held."""
        return not (self.done or self.chunk_is_open or self._line) and (not self._last or self._event_is_over())

    def _event_is_over(self) -> bool:
        """Whether the last whole line is empty."""
        if self.framing:
            return bool(_EVENT_END.search(self._last[-_LONGEST_END - self.framing : -self.framing]))
        return bool(_EVENT_END.search(self._before[-_LONGEST_END:] + self._last[-_LONGEST_END:]))


def _usage_in(text: bytes) -> Usage | None:
    """The last usage in whole lines that can be true: at the top (OpenAI), in `x_groq` (Groq) or in the first choice (Moonshot)."""
    for line in reversed(text.splitlines()):
        if _USAGE not in line or not line.startswith(_DATA):
            continue
        try:
            event = orjson.loads(line[len(_DATA) :])
        except orjson.JSONDecodeError:
            continue
        for holder in _usage_holders(event):
            if isinstance(holder, Mapping) and (usage := usage_from(holder.get("usage"))):
                return usage
    return None


def _usage_holders(event: object) -> Iterator[object]:
    if isinstance(event, Mapping):
        choices = event.get("choices")
        yield event
        yield event.get("x_groq")
        yield choices[0] if isinstance(choices, list) and choices else None


def _offset(spans: list[tuple[int, int]], at: int) -> int:
    """Where payload byte number `at` lies in the read."""
    for start, end in spans:
        if at <= end - start:
            return start + at
        at -= end - start
    return spans[-1][1] if spans else 0
