"""The OpenAI error object: how our faults are written, and how an upstream's refusal is read."""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from relay.domain.errors import ClientError, Fault, UpstreamVerdict

LONGEST_MESSAGE: Final = 2000


def error_object(fault: Fault) -> dict[str, Any]:
    """The four fields every official client reads; nothing else, since clients validate them."""
    return {"error": {"message": fault.message, "type": fault.type, "param": fault.param, "code": fault.code}}


def error_body(fault: Fault) -> bytes:
    """The JSON body of an error answer."""
    return fault.body if isinstance(fault, UpstreamVerdict) else orjson.dumps(error_object(fault))


def error_event(fault: Fault) -> bytes:
    """An error inside a stream that has begun: the official clients raise APIError on it. No [DONE] follows."""
    return b"data: " + error_body(fault) + b"\n\n"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an upstream said when it refused."""

    message: str
    type: str | None
    code: str | None
    param: str | None


HIDDEN: Final = "***"


def read_refusal(body: bytes, secret: str = "") -> Refusal | None:
    """Read an error body. Looks where vendors put the text: error.message, error, message, msg, err, error_msg, detail.

    Some repeat the credential that they refuse: `secret` is hidden, since the text reaches the caller.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return None
    error = parsed.get("error")
    where = error if isinstance(error, dict) else parsed
    for name in ("message", "msg", "err", "error_msg", "detail", "error"):
        if isinstance(where.get(name), str) and where[name]:
            text = _hidden(where[name], secret)[:LONGEST_MESSAGE]
            return Refusal(text, *(_text(where.get(field), secret) for field in ("type", "code", "param")))
    return None


def _hidden(text: str, secret: str) -> str:
    return text.replace(secret, HIDDEN) if secret else text


def _text(value: object, secret: str) -> str | None:
    """OpenAI's type, code and param are strings or null; vendors also send numbers."""
    if value is None or isinstance(value, (dict, list)):
        return None
    return _hidden(str(value), secret)[:200]


def verdict_body(refusal: Refusal) -> bytes:
    """The error object for the caller when the upstream blames the request: its text and code, in OpenAI's form."""
    kind = refusal.type or ClientError.type
    return orjson.dumps({"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}})
