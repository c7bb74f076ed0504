"""What the emulator and the client agree on: how a request asks for a stream, how a chunk says when it left, how both are read.

The wishes travel in the text of a message and the time stamps in the content of each event, so both survive every gateway.
"""

import hashlib
import re
from dataclasses import dataclass

KEY = "sk-bench-0123456789abcdef0123456789abcdef"
KEY_HASH = f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"
MODEL = "bench-model"
UPSTREAM_MODEL = "emulated-model"
PATH = "/v1/chat/completions"

_WISH = re.compile(rb"@bench chunks=(\d+) pace_us=(\d+) first_us=(\d+)@")
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_STAMP = re.compile(rb'"content":"@(\d{6})@(\d{16})@')
_CONTENT = b'"content":"'
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_EVENT = (
    b'data: {"id":"chatcmpl-bench0000000000000000000000001","object":"chat.completion.chunk","created":1700000000,"model":"emulated-model",'
    b'"system_fingerprint":"fp_bench","choices":[%b]}\n\n'
)
_TAIL = _EVENT % b'{"index":0,"delta":{"content":"@%06d@%016d@"},"logprobs":null,"finish_reason":null}'


def chunk(payload: bytes) -> bytes:
    """Frame one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(_EVENT % b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}')
)
FINISH = chunk(_EVENT % b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}')
USAGE = chunk(_EVENT.replace(b"[%b]", b'[],"usage":{"prompt_tokens":11,"completion_tokens":100,"total_tokens":111}'))
DONE = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
_WHOLE = (
    b'{"id":"chatcmpl-bench0000000000000000000000001","object":"chat.completion","created":1700000000,"model":"emulated-model","system_fingerprint":'
    b'"fp_bench","choices":[{"index":0,"message":{"role":"assistant","content":"Hello, how can I help?","refusal":null},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}'
)
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_WHOLE), _WHOLE)

_EVENT_BYTES = len(_TAIL % (0, 0))
_FRAMED = b"%x\r\n%b\r\n" % (_EVENT_BYTES, _TAIL)


def content_event(number: int, now_us: int) -> bytes:
    """Make content event `number` of a stream as one chunk, stamped with the time of the monotonic clock."""
    return _FRAMED % (number, now_us)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants of the emulator. `chunks` is 0 for an answer in one piece."""

    chunks: int
    pace_us: int
    first_us: int


def request(wish: Wish, host: str) -> bytes:
    """Make a request as an SDK would: some headers, a system message, sampling settings."""
    system = "You are a helpful assistant. Answer in one sentence and be kind."
    stream = ',"stream":true,"stream_options":{"include_usage":true}' if wish.chunks else ""
    body = (
        f'{{"model":"{MODEL}","messages":[{{"role":"system","content":"{system}"}},{{"role":"user","content":'
        f'"Hi @bench chunks={wish.chunks} pace_us={wish.pace_us} first_us={wish.first_us}@"}}],"temperature":0.7{stream}}}'
    )
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nUser-Agent: OpenAI/Python 3.0.0\r\nX-Stainless-Lang: python\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode("ascii")


def split_request(received: bytes) -> tuple[bytes, bytes] | None:
    """Split a received request into its body and what follows, or None if it is not whole."""
    head_end = received.find(b"\r\n\r\n") + 4
    if head_end < 4:
        return None
    length = _LENGTH.search(received, 0, head_end)
    end = head_end + (int(length[1]) if length else 0)
    return (received[head_end:end], received[end:]) if len(received) >= end else None


def wish_of(body: bytes) -> Wish:
    """Read what a request asks for. One without a wish gets a short answer at once."""
    found = _WISH.search(body)
    chunks, pace_us, first_us = (int(number) for number in found.groups()) if found else (0, 0, 0)
    return Wish(chunks if _STREAM.search(body) else 0, pace_us, first_us)


class Broken(Exception):
    """An answer that is not what was asked for. The message is counted."""


class AnswerReader:
    """Reads one answer, split anywhere, and holds it to what was asked for: every chunk once, in order, and the end marker.

    `feed` returns the stamps of the content events that became whole, in microseconds.
    """

    __slots__ = ("_buffer", "_chunked", "_done", "_expected", "_left", "_status", "_text", "_usage", "keep_alive", "over", "seen")

    def __init__(self, expected: int) -> None:
        self.over = False
        self.keep_alive = True
        self.seen = 0  # content events so far
        self._expected = expected
        self._status = 0
        self._chunked = False
        self._left = 0  # of the open chunk with its line end, or of a body with a length
        self._buffer = b""  # what can't be read yet: part of a head or of a size line
        self._text = b""  # an event that is not whole yet
        self._done = self._usage = False

    def feed(self, data: bytes) -> list[int]:
        """Take one read. Raises Broken."""
        if not self._status:
            rest = self._head(data)
            if rest is None:
                return []
            data = rest
        if self._chunked:
            return self._events(self._unframed(data))
        self._left -= len(data)
        if self._left <= 0:
            self._end()
        return []

    def _head(self, data: bytes) -> bytes | None:
        data = self._buffer + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._buffer = data
            return None
        self._buffer = b""
        self._status = int(data[9:12])
        if self._status != 200:
            msg = f"status {self._status}"
            raise Broken(msg)
        self._chunked = bool(_CHUNKED.search(data, 0, end))
        self.keep_alive = not _CLOSE.search(data, 0, end)
        length = _LENGTH.search(data, 0, end)
        if not self._chunked and not length:
            msg = "no framing"
            raise Broken(msg)
        self._left = int(length[1]) if length else 0
        return data[end:]

    def _unframed(self, data: bytes) -> bytes:
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        pieces, pos, end = [], 0, len(data)
        while pos < end:
            if self._left:
                taken = min(self._left, end - pos)
                payload = min(taken, self._left - 2)
                if payload > 0:
                    pieces.append(data[pos : pos + payload])
                self._left -= taken
                pos += taken
                continue
            line_end = data.find(b"\r\n", pos)
            if line_end < 0:
                self._buffer = data[pos:]
                break
            size = int(data[pos:line_end], 16)
            if not size:
                if data[line_end:] == b"\r\n\r\n":
                    self.over = True
                else:
                    self._buffer = data[pos:]
                break
            pos = line_end + 2
            self._left = size + 2
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _events(self, text: bytes) -> list[int]:
        stamps = []
        if self._text:
            text, self._text = self._text + text, b""
        if not text.endswith(b"\n\n"):
            cut = text.rfind(b"\n\n") + 2 if b"\n\n" in text else 0
            text, self._text = text[:cut], text[cut:]
        if _CONTENT in text:
            for found in _STAMP.finditer(text):
                if int(found[1]) != self.seen:
                    msg = "chunks out of order"
                    raise Broken(msg)
                self.seen += 1
                stamps.append(int(found[2]))
        if self.seen == self._expected and text:
            self._usage = self._usage or bool(_USAGE.search(text))
            self._done = self._done or b"data: [DONE]\n" in text
        if self.over:
            self._end()
        return stamps

    def _end(self) -> None:
        self.over = True
        if self._chunked != bool(self._expected):
            msg = "not the kind of answer that was asked for"
            raise Broken(msg)
        if self._expected and (self.seen != self._expected or not self._done or not self._usage):
            msg = f"cut after {self.seen} of {self._expected} chunks" if self.seen != self._expected else "no end marker or no usage"
            raise Broken(msg)
