"""No secret leaves in a log line: what is one, and what looks like one, is shown as `sk-ab..yz`.

Three things are found in a text: values that were registered as secret; the values of headers that carry credentials, whatever they
look like; and words that look like a key. The patterns also hold what a caller sent and nobody registered: of callers' keys only
hashes are known here.
"""

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

SHORTEST_SECRET: Final = 8
"""A shorter value is no secret that a log could give away: replacing it would only make holes into other words."""

LONGEST_TEXT: Final = 64 << 10
_SHOWABLE: Final = 16  # shorter ones are not shown in part
_KEY_PREFIX: Final = "sk-"
_LONG_TAIL: Final = 20

HEADERS: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "api_key",
        "x-goog-api-key",
        "cookie",
        "set-cookie",
        "password",
        "secret",
    }
)
"""Names whose value is never written, as a header, a field of a log line or a key of a dict."""

_NAMES: Final = "|".join(sorted(map(re.escape, HEADERS), key=len, reverse=True))
_HEADER: Final = re.compile(rf"(?<![A-Za-z0-9])((?:{_NAMES})['\"\\]*\s*[:=,]\s*)([^\r\n]+)", re.IGNORECASE)
_BEARER: Final = re.compile(r"\b(bearer)(?:\s|%20|\+)+(\S+)", re.IGNORECASE)
_KEY: Final = re.compile(r"sk-[A-Za-z0-9_-]{8,}")
_MASKED_BEARER: Final = re.compile(r"b?['\"\\]*bearer (?:sk-)?(?:..\.\...|\*\*\*)", re.IGNORECASE)
_CLOSING: Final = "'\"\\,;)]}>"


def masked(secret: str) -> str:
    """What may be shown of a secret: enough to tell two of them apart."""
    prefix = _KEY_PREFIX if secret.startswith(_KEY_PREFIX) else ""
    if len(secret) < _SHOWABLE:
        return f"{prefix}***"
    return f"{secret[: len(prefix) + 2]}..{secret[-2:]}"


class Redactor:
    """Replaces secrets in texts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        written: dict[str, str] = {}
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                # Also as it stands in a URL, in a repr and in JSON.
                written.update(
                    dict.fromkeys((secret, quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]), masked(secret))
                )
        # The longest first: one secret may be a part of another.
        self._secrets = sorted(written.items(), key=lambda item: len(item[0]), reverse=True)
        self._margin = max([4096, *(len(secret) for secret in written)])

    def __call__(self, text: str) -> str:
        """The text without secrets. A very long one is cut, and not inside of a secret."""
        if len(text) > LONGEST_TEXT:
            return self._replaced(text[:LONGEST_TEXT])[: -self._margin] + "…"
        return self._replaced(text)

    def _replaced(self, text: str) -> str:
        for secret, shown in self._secrets:
            if secret in text:
                text = text.replace(secret, shown)
        text = _BEARER.sub(_bearer, text)
        text = _HEADER.sub(_header, text)
        return _KEY.sub(_key, text)


def _bearer(found: re.Match[str]) -> str:
    return f"{found[1]} {masked(found[2].rstrip(_CLOSING))}"


def _header(found: re.Match[str]) -> str:
    """Where a value ends can't be told of every way to write it, so the rest of the line goes with it."""
    kept = _MASKED_BEARER.match(found[2])
    if kept is None:
        return f"{found[1]}***"
    return f"{found[1]}{kept[0]}" + (" ***" if len(kept[0]) < len(found[2].rstrip()) else "")


def _key(found: re.Match[str]) -> str:
    """`disk-pressure-high` holds no key: after a letter or digit, only a long tail or one with a digit makes one."""
    before = found.string[: found.start()][-1:]
    tail = found[0].removeprefix(_KEY_PREFIX)
    if before.isalnum() and len(tail) < _LONG_TAIL and not any(character.isdigit() for character in tail):
        return found[0]
    return masked(found[0])
