"""Every port: what the walk of a request (exchange.py) asks of the world. The rim implements them; tests use small fakes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from relay.domain.access import Principal
from relay.domain.channel import Candidate, Channel
from relay.domain.endpoints import Endpoint
from relay.domain.routing import RoutingTable
from relay.domain.usage import Usage
from relay.wire.http_head import Head
from relay.wire.openai_stream import StreamTap


class Clock(Protocol):
    """Time. Every timeout is measured with the monotonic one."""

    def monotonic(self) -> float: ...
    def today(self) -> date:
        """Today in UTC."""
        ...


class Chance(Protocol):
    """Randomness that decides nothing about security."""

    def turn(self) -> int:
        """A whole number, for choosing among equals."""
        ...


class Keys(Protocol):
    """The snapshot of callers' keys."""

    def principals(self) -> Mapping[bytes, Principal]: ...


class Channels(Protocol):
    """The snapshot of channels."""

    def table(self) -> RoutingTable: ...


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held for an exchange until it is settled, once, by its request id."""

    request_id: str
    key: str


class Ledger(Protocol):
    """What was used. Each reservation is settled exactly once; settling it again changes nothing."""

    async def reserve(self, request_id: str, key: str) -> Reservation: ...
    async def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """End the reservation. None: nothing was used, or nothing is known of it."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an upstream, as bytes. The head holds a credential and is therefore not shown."""

    channel: Channel
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)


class Patience(Protocol):
    """Told now and then that the upstream is silent, so that a caller who streams can be kept alive."""

    def silent(self, quiet_s: float, *, between_events: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """A stream that came to its own end. `held` are the last bytes of it, which may leave once it is settled."""

    held: bytes


class Outlet(Protocol):
    """The caller's side of a stream: bytes leave at once or wait, in order, bounded by the upstream being paused."""

    begun: bool
    """Whether anything was written."""

    def lead(self, head: bytes) -> None:
        """Put `head` in front of the first bytes."""
        ...

    def write(self, data: bytes) -> None:
        """Raises ClientGone."""
        ...

    async def flushed(self) -> None:
        """Wait until everything written has left. Raises ClientGone."""
        ...

    def close(self) -> None:
        """Let go of the caller's socket. Idempotent; the connection itself stays open."""
        ...


class Answer(Protocol):
    """An upstream's answer whose head has arrived. Exactly one of `whole` and `splice` is awaited; `abandon` may follow anything."""

    head: Head

    async def whole(self, limit: int) -> bytes:
        """The body. Raises UpstreamError, among others if it is longer than `limit`."""
        ...

    async def splice(self, outlet: Outlet, tap: StreamTap) -> Ending:
        """Move the body to the caller as it comes. Raises UpstreamError, or ClientGone."""
        ...

    @property
    def first_token_at(self) -> float | None:
        """When (monotonic) the first piece of a spliced answer's content passed."""
        ...

    def abandon(self) -> None:
        """Close the upstream's connection unless the answer is already over. Idempotent."""
        ...


class Upstream(Protocol):
    """Outbound HTTP."""

    async def open(self, call: Call, patience: Patience | None, give_up_at: float) -> Answer:
        """Send the call and wait for the answer's head. Raises UpstreamError."""
        ...

    def outlet(self, fd: int) -> Outlet:
        """An outlet over the caller's socket; takes the descriptor over and closes it."""
        ...


class ClientGone(Exception):
    """The caller's connection is closed: nothing can be told to him."""

    def __init__(self, reason: str = "closed") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Inbound:
    """One request as the public listener took it."""

    request_id: str
    endpoint: Endpoint
    body: bytes = field(repr=False)
    secret: str = field(repr=False)
    address: str
    began_at: float  # monotonic
    take_socket: Callable[[], Awaitable[int]] = field(repr=False)
    """Hands over a duplicate of the caller's socket, once nothing of ours waits to be written to it. Raises ClientGone."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer to be written in one piece."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that was already written to the socket. `keep_alive`: whether the connection can serve another request."""

    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one channel."""

    candidate: Candidate
    model: str  # public
    result: str  # "ok" or the fault's code
    head_s: float | None  # from sending to the answer's head
    duration_s: float
    detail: str = ""  # why it failed, for the operator's log alone


@dataclass(slots=True)
class ExchangeReport:
    """All that is told about one exchange when it is over. Filled by the walk, read by the observer, never shown to a caller."""

    request_id: str
    endpoint: Endpoint
    key: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    code: str = ""  # the fault's code, "" for a good end
    attempts: list[Attempt] = field(default_factory=list)
    usage: Usage | None = None
    first_token_s: float | None = None
    duration_s: float = 0.0
    auth_s: float | None = None
    route_s: float | None = None
    finish_s: float | None = None
    gone_phase: str = ""  # "head" | "stream" when the caller left


class Observer(Protocol):
    """Told of what happens. Never raises, never waits."""

    def began(self, endpoint: Endpoint) -> None: ...
    def stream_opened(self) -> None: ...
    def stream_closed(self) -> None: ...
    def ended(self, report: ExchangeReport) -> None: ...
    def refused(self, endpoint: Endpoint | None, status: int, code: str) -> None:
        """A request that never became an exchange."""
        ...
