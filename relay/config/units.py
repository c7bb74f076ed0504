"""Durations, sizes and rates as people write them in a configuration file: "5m", "20m" bytes, "10/s".

Pure functions; each raises ValueError with a message that shows an accepted example and never the refused value.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

_DURATION = re.compile(r"(\d{1,18}(?:\.\d{1,400})?)(ms|s|m|h|d)", re.ASCII)
_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d{1,15})([kmg]?)b?", re.ASCII | re.IGNORECASE)
_SIZE_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_RATE = re.compile(r"(\d{1,7})/(s|m)", re.ASCII)
MAX_S = 1e12
"""No setting comes near it; a whole number in TOML has no end, a float has one."""

MAX_RATE = 1_000_000
"""nginx counts in thousandths; far below where that would overflow, far above what one machine serves."""


def seconds(value: object) -> float:
    """Read "250ms", "15s", "5m", "1h" or a bare number of seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < 0:
            msg = 'a duration can\'t be negative; write for example "30s"'
            raise ValueError(msg)
        if value <= MAX_S:  # false for nan too
            return float(value)
    if isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        return float(found[1]) * _DURATION_S[found[2]]
    msg = 'not a duration; write for example "250ms", "15s", "5m" or "1h"'
    raise ValueError(msg)


def size_bytes(value: object) -> int:
    """Read "64k", "20m", "1g" (powers of 1024) or a bare number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        return int(found[1]) * _SIZE_BYTES[found[2].lower()]
    msg = 'not a size; write for example "64k", "20m" or a number of bytes'
    raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many events per second or per minute, kept as it was written: nginx wants r/s or r/m."""

    count: int
    per: str  # "s" | "m"

    def __str__(self) -> str:
        return f"{self.count}/{self.per}"


def rate(value: object) -> Rate:
    """Read "10/s" or "300/m"."""
    if isinstance(value, Rate):
        return value
    if isinstance(value, str) and (found := _RATE.fullmatch(value.strip())) and 0 < int(found[1]) <= MAX_RATE:
        return Rate(int(found[1]), found[2])
    msg = 'not a rate; write for example "10/s" or "300/m"'
    raise ValueError(msg)


def duration_text(value_s: float) -> str:
    """Write a duration as short as it can be, so that `seconds` reads back the same number."""
    for unit in ("d", "h", "m", "s"):
        count = int(value_s / _DURATION_S[unit])
        if count >= 1 and count * _DURATION_S[unit] == value_s:
            return f"{count}{unit}"
    thousandths = round(value_s * 1000)
    if thousandths > 0 and thousandths * _DURATION_S["ms"] == value_s:
        return f"{thousandths}ms"
    return f"{Decimal(repr(value_s)):f}s".replace(".0s", "s")


def size_text(value: int) -> str:
    """Write a size as short as it can be, so that `size_bytes` reads back the same number."""
    for unit in ("g", "m", "k"):
        if value and value % _SIZE_BYTES[unit] == 0:
            return f"{value // _SIZE_BYTES[unit]}{unit}"
    return str(value)
