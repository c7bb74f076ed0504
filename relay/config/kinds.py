"""The kinds of values that settings have: how each is read, named in a manual and written back.

A complaint never repeats the refused value: what stands in the wrong place may be a secret. What comes before "; " says
what is wrong, what comes after it is the next step.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr, WithJsonSchema

from relay.config import units

Network = IPv4Network | IPv6Network
MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Kind:
    """How the manual and a complaint call the values of a setting, and how they write one."""

    word: str
    text: Callable[[Any], str] = str
    quoted: bool = True  # in TOML
    made_by: str | None = None  # the next step for someone who has none


# --- numbers

Seconds = Annotated[
    float,
    Kind("duration", units.duration_text),
    BeforeValidator(units.seconds),
    PlainSerializer(units.duration_text, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$", "minimum": 0, "examples": ["15s", "5m"]}),
]
Bytes = Annotated[
    int,
    Kind("size", units.size_text),
    BeforeValidator(units.size_bytes),
    PlainSerializer(units.size_text, return_type=str),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^\d+[kmgKMG]?[bB]?$", "minimum": 0, "examples": ["20m"]}),
]
Rate = Annotated[
    units.Rate,
    Kind("rate"),
    BeforeValidator(units.rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+/[sm]$", "examples": ["10/s", "300/m"]}),
]
Count = Annotated[int, Kind("whole number", quoted=False), Field(strict=True)]
"""Strict: neither "3" nor 3.0 nor true is a number of things."""

Flag = Annotated[bool, Kind("true or false", lambda value: str(value).lower(), quoted=False), Field(strict=True)]


# --- places on the network

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_SOCKET = re.compile(r"unix:[^\s\x00]+")
_URL = re.compile(r"https?://([^/?#]+)(/[!-~]*)?")


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = "needs a text in quotes"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports a ValueError and lets a TypeError through
    return value


def _is_host(host: str) -> bool:
    """Whether this is a name, an IPv4 address or an IPv6 address in brackets."""
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif host.rpartition(".")[2].isdigit():
            IPv4Address(host)
        else:
            return _HOST.fullmatch(host) is not None
    except AddressValueError:
        return False
    return True


def _is_place(value: str, *, needs_port: bool = True, lowest_port: int = 1) -> bool:
    """Whether this is HOST:PORT, or HOST alone where no port is needed."""
    found = _PLACE.fullmatch(value)
    if not found or not _is_host(found[1]):
        return False
    return lowest_port <= int(found[2]) <= MAX_PORT if found[2] else not needs_port


def _listen(value: object) -> str:
    text = _text(value)
    place = text.replace("*:", "everywhere:", 1) if text.startswith("*:") else text
    if not _SOCKET.fullmatch(text) and not _is_place(place, lowest_port=0):
        msg = 'not an address to listen on; write "unix:PATH" or "HOST:PORT", for example "127.0.0.1:8101"'
        raise ValueError(msg)
    return text


def _public(value: object) -> str:
    text = _text(value)
    place = text.replace("*:", "everywhere:", 1) if text.startswith("*:") else text
    if not _is_place(place):
        msg = 'not a public address; write "HOST:PORT", for example "127.0.0.1:8080"'
        raise ValueError(msg)
    return text


def _domain(value: object) -> str:
    text = _text(value)
    if not _DOMAIN.fullmatch(text):
        msg = 'not a host name; write for example "llm.example.com"'
        raise ValueError(msg)
    return text.lower()


def _origin(value: object) -> str:
    found = _URL.fullmatch(_text(value))
    if not found or found[2] or not _is_place(found[1], needs_port=False):
        msg = 'not a web origin; write scheme and host alone, for example "https://chat.example.com"'
        raise ValueError(msg)
    return found[0]


def _network(value: object) -> Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = _text(value)
    try:
        wide = ip_network(text, strict=False)
    except ValueError:
        msg = 'not a network; write for example "10.0.0.0/8", "2001:db8::/32" or one address'
        raise ValueError(msg) from None
    if ip_address(text.partition("/")[0]) != wide.network_address:
        msg = f"not a network: the address has digits where the prefix has none; did you mean '{wide}'"
        raise ValueError(msg)
    return wide


def _base_url(value: object) -> str:
    found = _URL.fullmatch(_text(value))
    if not found or not _is_place(found[1], needs_port=False) or {"?", "#"} & set(found[2] or ""):
        msg = 'not a base URL; write for example "https://api.openai.com/v1" (no user, query or fragment)'
        raise ValueError(msg)
    return found[0].rstrip("/")


Listen = Annotated[
    str, Kind("address"), BeforeValidator(_listen), WithJsonSchema({"type": "string", "pattern": r"^(unix:\S+|\S+:\d{1,5})$"})
]
PublicListen = Annotated[str, Kind("address"), BeforeValidator(_public), WithJsonSchema({"type": "string", "pattern": r"^\S+:\d{1,5}$"})]
Domain = Annotated[str, Kind("host name"), BeforeValidator(_domain)]
Origin = Annotated[str, Kind("web origin"), BeforeValidator(_origin), WithJsonSchema({"type": "string", "pattern": "^https?://[^/]+$"})]
Subnet = Annotated[Network, Kind("network"), BeforeValidator(_network), WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]})]
BaseUrl = Annotated[str, Kind("URL"), BeforeValidator(_base_url), WithJsonSchema({"type": "string", "pattern": r"^https?://[^?#]+$"})]


# --- names and the rest

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_MODEL = re.compile(r"[!-~]{1,256}")
_MAKE_A_KEY = 'make a key and its hash with "relay key create NAME"'
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def _name(value: object) -> str:
    text = _text(value)
    if not _NAME.fullmatch(text):
        msg = "not a name; use letters, digits, dots, dashes and underscores, at most 64, a letter or digit at both ends"
        raise ValueError(msg)
    return text


def _model(value: object) -> str:
    text = _text(value)
    if not _MODEL.fullmatch(text):
        msg = "not a model name; use printable ASCII without blanks, at most 256 characters"
        raise ValueError(msg)
    return text


def _model_names(value: object) -> object:
    """A list means: the same name on both sides."""
    if not value and isinstance(value, (list, tuple, dict)):
        msg = 'names no model; write for example ["gpt-5"]'
        raise ValueError(msg)
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return {name: name for name in value}
    if not isinstance(value, dict):
        msg = 'needs a list or a table of names in quotes; write for example ["gpt-5"] or { "our-name" = "their-name" }'
        raise ValueError(msg)  # noqa: TRY004 - as in _text
    return value


def _hash(value: object) -> str:
    text = _text(value)
    if not _HASH.fullmatch(text):
        msg = f"not a key hash; {_MAKE_A_KEY}"
        raise ValueError(msg)
    return text


def _path(value: object) -> str:
    text = _text(value)
    if not text or not text.isprintable():
        msg = "not a path; it is empty or holds a character that can't be printed"
        raise ValueError(msg)
    return text


def _day(value: object) -> date:
    """Read a date, with or without quotes; never a moment, whose zone would be a guess."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    msg = "not a date; write for example 2027-12-31"
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise ValueError(msg)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(msg) from None


Name = Annotated[str, Kind("name"), BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
Model = Annotated[str, Kind("model name"), BeforeValidator(_model), WithJsonSchema({"type": "string", "pattern": f"^{_MODEL.pattern}$"})]
ModelNames = Annotated[
    dict[Model, Model],
    Kind("list or table of model names"),
    BeforeValidator(_model_names),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
            ]
        }
    ),
]
KeyHash = Annotated[
    str,
    Kind("hash", made_by=_MAKE_A_KEY),
    BeforeValidator(_hash),
    WithJsonSchema({"type": "string", "pattern": f"^{_HASH.pattern}$"}),
]
Day = Annotated[date, Kind("date", quoted=False), BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
File = Annotated[str, Kind("path"), BeforeValidator(_path)]
Reference = Annotated[SecretStr, Kind("reference"), WithJsonSchema({"type": "string", "examples": ["env:UPSTREAM_KEY"]})]
