"""The request body, read once. What the relay judged is what the upstream gets: the body is serialised again from this reading.

Unknown fields are kept. Of duplicate keys the last one counts, here and therefore upstream. What can't be written again as it was read
(whole numbers beyond 64 bits, very deep nesting) is refused.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from relay.domain.endpoints import Endpoint
from relay.domain.errors import InvalidBody, MissingField

LONGEST_MODEL: Final = 256
"""Characters of a model's name."""

_MOST_LEVELS: Final = 254  # orjson writes no more
_WHOLE: Final = range(-(1 << 63), 1 << 64)  # orjson reads any other as floating point, changed
_WIDE = re.compile(rb"0{20}|-0{19}")  # digits, made alike; fewer always fit
_MOST_WIDE: Final = 10_000
_MOST_CONTAINERS: Final = 100_000
_MOST_COMMAS: Final = 500_000  # room for 300 000 tokens to embed
_ALIKE: Final = bytes.maketrans(b"123456789", b"000000000")
_DIGITS = re.compile(rb"-?[0-9]*")
_REST_OF_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_INTEGER = re.compile(rb"(?<![.eE+])-?[0-9]+(?![0-9.eE])")  # no part of a fraction or an exponent
_COUNT: Final = range(1 << 31)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request: what the relay needs to know of it, and the whole body."""

    model: str  # public name
    stream: bool
    body: dict[str, Any]


def read(raw: bytes, endpoint: Endpoint) -> ChatRequest:
    """Read a request body. Raises InvalidBody or MissingField, which name the field and the reason."""
    if not raw:
        msg = f"The request has no body. Send a JSON object with `model` and `{endpoint.needs}`."
        raise InvalidBody(msg)
    body = _parse(raw)
    model = _model(body)
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        msg = "`stream` must be true or false."
        raise InvalidBody(msg, param="stream")
    _check_fields(body, endpoint)
    return ChatRequest(model, bool(stream) and endpoint.streams, body)


def _parse(raw: bytes) -> dict[str, Any]:
    containers = raw.count(b"[") + raw.count(b"{")
    if containers > _MOST_CONTAINERS or raw.count(b",") > _MOST_COMMAS:  # reading it would hold up every other caller
        msg = f"The request body has too many values: more than {_MOST_CONTAINERS} objects and arrays, or {_MOST_COMMAS} commas."
        raise InvalidBody(msg)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        msg = f"The request body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise InvalidBody(msg) from None
    if not isinstance(body, dict):
        msg = "The request body must be a JSON object."
        raise InvalidBody(msg)
    if containers > _MOST_LEVELS:  # perhaps inside one another
        try:
            orjson.dumps(body)
        except orjson.JSONEncodeError:
            msg = f"The request body is nested more than {_MOST_LEVELS} levels deep."
            raise InvalidBody(msg) from None
    if _has_wide_integer(raw):
        msg = "A whole number in the request body does not fit in 64 bits. Send it as a string."
        raise InvalidBody(msg)
    return body


def _has_wide_integer(raw: bytes) -> bool:
    """Whether a JSON document has a whole number beyond 64 bits. Costs less than parsing it: only long runs of digits are looked at.

    Also true for a document with very many numbers that long, since looking at each would take too long.
    """
    alike = raw.translate(_ALIKE)
    seen, in_string, numbers = 0, False, 0
    while found := _WIDE.search(alike, seen):
        at = found.start()
        quotes = raw[seen:at].replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"')  # those around strings
        in_string ^= quotes % 2 == 1
        if in_string:
            seen = _end(_REST_OF_STRING, raw, at)
            continue
        numbers += 1
        number = _INTEGER.match(raw, at - raw.startswith(b"-", at - 1) if at else 0)
        if numbers > _MOST_WIDE or (number and int(number[0]) not in _WHOLE):
            return True
        seen = _end(_DIGITS, raw, at)
    return False


def _end(pattern: re.Pattern[bytes], raw: bytes, at: int) -> int:
    """Where what the pattern matches at this place ends."""
    found = pattern.match(raw, at)
    return found.end() if found else at


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if model is None:
        msg = "You must provide a `model` parameter."
        raise MissingField(msg, param="model")
    if not isinstance(model, str):
        msg = "`model` must be a string."
        raise InvalidBody(msg, param="model")
    if not 0 < len(model) <= LONGEST_MODEL:
        msg = f"`model` must have 1 to {LONGEST_MODEL} characters."
        raise InvalidBody(msg, param="model")
    return model


def _check_fields(body: dict[str, Any], endpoint: Endpoint) -> None:
    needed = body.get(endpoint.needs)
    if needed is None:
        hint = " (`input` belongs to the Responses API.)" if endpoint.needs == "messages" and "input" in body else ""
        msg = f"Missing required parameter: `{endpoint.needs}`.{hint}"
        raise MissingField(msg, param=endpoint.needs)
    if endpoint.needs == "messages":
        if not isinstance(needed, list) or not needed:
            msg = "`messages` must be a non-empty array."
            raise InvalidBody(msg, param="messages")
        if not all(isinstance(message, dict) for message in needed):
            msg = "Each of `messages` must be an object."
            raise InvalidBody(msg, param="messages")
    elif not isinstance(needed, (str, list)):
        msg = f"`{endpoint.needs}` must be a string or an array."
        raise InvalidBody(msg, param=endpoint.needs)
    for name in ("max_tokens", "max_completion_tokens", "n"):
        count = body.get(name)
        if count is not None and not (type(count) is int and count in _COUNT):
            msg = f"`{name}` must be a whole number from 0 to {_COUNT[-1]}."
            raise InvalidBody(msg, param=name)


def write(request: ChatRequest, upstream_model: str) -> bytes:
    """Serialise the request for an upstream that calls the model `upstream_model`. What `read` let through can be written."""
    return orjson.dumps(request.body if request.model == upstream_model else {**request.body, "model": upstream_model})
