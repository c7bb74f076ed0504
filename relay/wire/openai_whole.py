"""Answers that are one JSON document: whether it is one, and the usage in it."""

from typing import Any, Final

import orjson

from relay.domain.usage import Usage, usage_from

_MOST_CONTAINERS: Final = 100_000


def read_whole(body: bytes) -> dict[str, Any] | None:
    """The answer as an object; None if it is not JSON, not an object, or of so many parts that reading it would hold up everybody else."""
    if body.count(b"{") + body.count(b"[") > _MOST_CONTAINERS:
        return None
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def usage_of(answer: dict[str, Any]) -> Usage | None:
    """The usage that the answer reports."""
    return usage_from(answer.get("usage"))
