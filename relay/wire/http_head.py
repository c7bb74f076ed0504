"""The head of an HTTP/1.1 response, read strictly (RFC 9112), and the head that we write.

A doubtful head is refused, never repaired: two readings of one message are how answers end up with the wrong caller.
Refused: bare LF, folded lines, control characters, blanks in names, two lengths, a length beside a transfer coding,
any coding but chunked, a status line of another form.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

MAX_HEAD_BYTES: Final = 32 << 10
"""Longest head, the empty line included."""

MAX_LENGTH: Final = 1 << 50
"""Longest body that a length may promise."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(rb"\d{1,16}")
_ONLY_ONCE: Final = frozenset({"content-length", "transfer-encoding"})
_BLANKS: Final = b" \t"
_PROTOCOL: Final = b"HTTP/1."
_END: Final = b"\r\n\r\n"


class Malformed(ValueError):
    """The peer's bytes are not HTTP/1.1. The text says which rule was broken and shows none of the bytes."""


class Framing(Enum):
    """How the end of a body is known (RFC 9112 section 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Head:
    """A response's head. Header names are lower case; repeated fields are joined with a comma (set-cookie too: it is never passed on)."""

    status: int
    headers: dict[str, str]
    framing: Framing
    length: int  # bytes of the body with Framing.LENGTH, else 0
    keep_alive: bool
    size: int  # bytes the head took, the empty line included


def parse_head(data: bytes) -> Head | None:
    """Read the first head in `data`; None while it is incomplete.

    Raises Malformed. The caller skips interim (1xx) answers and calls again.
    """
    end = data.find(_END)
    size = end + len(_END) if end >= 0 else len(data) + 1  # at least
    if size > MAX_HEAD_BYTES:
        msg = "the head of the answer is too long"
        raise Malformed(msg)
    if end < 0:
        _check_beginning(data)
        return None
    status_line, *lines = data[:end].split(b"\r\n")
    found = _STATUS.fullmatch(status_line)
    if not found:
        msg = "bad status line"
        raise Malformed(msg)
    headers = _fields(lines)
    status, is_11 = int(found[2]), found[1] == b"1"
    framing, length = _framing(status, headers, is_11=is_11)
    connection = {option.strip() for option in headers.get("connection", "").lower().split(",")}
    keep_alive = framing is not Framing.CLOSE and "close" not in connection and (is_11 or "keep-alive" in connection)
    return Head(status, headers, framing, length, keep_alive, size)


def _check_beginning(data: bytes) -> None:
    """Refuse at once what can't become a head: nobody should wait for the rest of it."""
    if not data.startswith(_PROTOCOL[: len(data)]):
        msg = "the answer does not begin with an HTTP/1.x status line"
        raise Malformed(msg)
    if data.count(b"\n") != data.count(b"\r\n"):
        msg = "a bare line feed in the head"
        raise Malformed(msg)


def _fields(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        raw_name, raw_value = read_field(line)
        name, value = raw_name.lower().decode("ascii"), raw_value.decode("latin-1")
        if name in headers:
            if name in _ONLY_ONCE:
                msg = f"two fields {name}"
                raise Malformed(msg)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def read_field(line: bytes) -> tuple[bytes, bytes]:
    """Name and value of one field line (RFC 9112 section 5), the blanks around the value taken off. Raises Malformed.

    Not one regular expression: blanks that fit several parts of a pattern cost the cube of their number.
    """
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        msg = "bad header line"
        raise Malformed(msg)
    return name, value.strip(_BLANKS)


def _framing(status: int, headers: dict[str, str], *, is_11: bool) -> tuple[Framing, int]:
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None and length is not None:
        msg = "a length beside a transfer coding"
        raise Malformed(msg)
    if coding is not None and (coding.lower() != "chunked" or not is_11):
        msg = "a transfer coding other than chunked"
        raise Malformed(msg)
    if length is not None and (not _LENGTH.fullmatch(length.encode("latin-1")) or int(length) > MAX_LENGTH):
        msg = "bad length"
        raise Malformed(msg)
    if status < 200 or status in {204, 304}:  # noqa: PLR2004 - HTTP's own numbers
        return Framing.NONE, 0
    if coding is not None:
        return Framing.CHUNKED, 0
    if length is not None:
        return (Framing.LENGTH, int(length)) if int(length) else (Framing.NONE, 0)
    return Framing.CLOSE, 0


_REASONS: Final = {200: b"OK"}


def response_head(status: int, headers: list[tuple[str, str]]) -> bytes:
    """The head of an answer of ours. Names and values are our own or vetted: one that can't be written is a bug and raises Malformed."""
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b""))]
    for name, value in headers:
        raw_name, raw_value = name.encode("latin-1", "replace"), value.encode("latin-1", "replace")
        if not _NAME.fullmatch(raw_name) or not _VALUE.fullmatch(raw_value):
            msg = "a header of ours can't be written"
            raise Malformed(msg)
        lines.append(raw_name + b": " + raw_value)
    return b"\r\n".join(lines) + _END
