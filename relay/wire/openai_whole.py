"""Answers that are one JSON document: whether it is one, and the usage in it."""

from typing import Any

import orjson

from relay.domain.usage import Usage, usage_from


def read_whole(body: bytes) -> dict[str, Any] | None:
    """The answer as an object; None if it is not JSON or not an object."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def usage_of(answer: dict[str, Any]) -> Usage | None:
    """The usage that the answer reports."""
    return usage_from(answer.get("usage"))
