"""Model tokens that an exchange used, as the upstream reported them."""

from collections.abc import Mapping
from dataclasses import dataclass

MOST_TOKENS = 1_000_000_000
"""Anything above is not a count but a fault of the upstream."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of model tokens. `cached` and `reasoning` are parts of `prompt` and `completion`, not additions to them."""

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0


def usage_from(value: object) -> Usage | None:
    """Read an OpenAI `usage` object; None if it is absent or can't be true (negative, absurd, not whole numbers, nothing at all)."""
    if not isinstance(value, Mapping):
        return None
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens", 0))
    if prompt is None or completion is None or not prompt + completion:
        return None
    return Usage(
        prompt,
        completion,
        cached=min(_detail(value.get("prompt_tokens_details"), "cached_tokens"), prompt),
        reasoning=min(_detail(value.get("completion_tokens_details"), "reasoning_tokens"), completion),
    )


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
        return value
    return None


def _detail(details: object, name: str) -> int:
    return (_count(details.get(name)) or 0) if isinstance(details, Mapping) else 0
