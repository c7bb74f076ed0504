"""A channel is one configured upstream account; a credential of it is the unit that is tried, cooled down and counted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections go. Connections are pooled by this value."""

    tls: bool
    host: str  # as in the URL, without brackets
    port: int
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """One upstream account."""

    name: str
    provider: str  # row of providers/table.py
    origin: Origin
    authority: str  # Host header
    path: str  # prefix of the upstream's paths, "" or "/v1" …
    models: Mapping[str, str]  # public name -> upstream's name
    priority: int
    first_byte_s: float
    idle_s: float


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret of a channel. `label` names it in logs and metrics, and says nothing about it.

    Raises ValueError for a secret that is not visible ASCII: in a header it could become another one.
    """

    label: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _VISIBLE.fullmatch(self.secret):
            msg = f"the credential {self.label} is empty or holds a blank, a line end or a character outside ASCII"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel with one of its credentials: what is tried for a request. `credential` is None where the upstream wants none."""

    channel: Channel
    credential: Credential | None
