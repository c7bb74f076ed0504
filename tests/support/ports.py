"""Small fakes of the ports: each does the simplest thing that is right, writes down what it was asked, and can be told to fail."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from relay.domain.access import Principal
from relay.domain.channel import Candidate
from relay.domain.endpoints import Endpoint
from relay.domain.routing import RoutingTable, build_table
from relay.domain.usage import Usage
from relay.ports import Call, ClientGone, Ending, ExchangeReport, Outlet, Patience, Reservation
from relay.wire.http_head import Framing, Head
from relay.wire.openai_stream import StreamTap
from tests.support.builders import principal

TODAY = date(2026, 11, 24)


class Clock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def today(self) -> date:
        return TODAY


class Chance:
    """Always the same."""

    def turn(self) -> int:
        return 0


class Keys:
    def __init__(self, *principals: Principal) -> None:
        self.all = principals or (principal(),)

    def principals(self) -> Mapping[bytes, Principal]:
        return {one.digest: one for one in self.all}


class Channels:
    def __init__(self, *candidates: Candidate) -> None:
        self.candidates = candidates

    def table(self) -> RoutingTable:
        return build_table(self.candidates)


class Ledger:
    """Settles when its gate is open, each reservation once; or fails."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.gate = asyncio.Event()
        self.gate.set()
        self.faults: list[Exception] = []  # of the next settlements
        self.held: set[str] = set()
        self.settled: list[tuple[str, Usage | None]] = []

    async def reserve(self, request_id: str, key: str) -> Reservation:
        self.journal.append("reserve")
        self.held.add(request_id)
        return Reservation(request_id, key)

    async def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        self.journal.append("settle")
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        if reservation.request_id in self.held:
            self.held.remove(reservation.request_id)
            self.settled.append((reservation.request_id, usage))


class Observer:
    """Remembers what it is told."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.reports: list[ExchangeReport] = []
        self.refusals: list[tuple[str, int, str]] = []
        self.under_way = 0
        self.open_streams = 0

    def began(self, endpoint: Endpoint) -> None:
        del endpoint
        self.journal.append("began")
        self.under_way += 1

    def stream_opened(self) -> None:
        self.open_streams += 1

    def stream_closed(self) -> None:
        self.open_streams -= 1

    def ended(self, report: ExchangeReport) -> None:
        self.journal.append("ended")
        self.under_way -= 1
        self.reports.append(report)

    def refused(self, endpoint: Endpoint | None, status: int, code: str) -> None:
        self.refusals.append((endpoint.path if endpoint else "", status, code))

    @property
    def report(self) -> ExchangeReport:
        """The only one."""
        [report] = self.reports
        return report


class OutletFake:
    """Keeps what is written; `gone` makes the caller have left."""

    def __init__(self, journal: list[str]) -> None:
        self.begun = False
        self.gone: ClientGone | None = None
        self.is_open = True
        self.written: list[bytes] = []
        self._head = b""
        self._journal = journal

    def lead(self, head: bytes) -> None:
        self._head = head

    def write(self, data: bytes) -> None:
        if self.gone:
            raise self.gone
        self.written.append(data if self.begun else self._head + data)
        self.begun = True
        self._journal.append("write")

    async def flushed(self) -> None:
        self._journal.append("flushed")
        if self.gone:
            raise self.gone

    def close(self) -> None:
        self.is_open = False

    @property
    def text(self) -> bytes:
        return b"".join(self.written)


Patient = Callable[[Patience], None]


@dataclass(slots=True)
class AnswerFake:
    """An answer: a body, or a stream of chunks with the end marker held; then perhaps a fault."""

    head: Head
    body: bytes = b""
    chunks: tuple[bytes, ...] = ()
    held: bytes = b""
    fault: BaseException | None = None
    first_token_at: float | None = None
    is_abandoned: bool = False
    limit: int = 0
    forever: bool = False
    caller_leaves: bool = False  # before the fault

    async def whole(self, limit: int) -> bytes:
        self.limit = limit
        await self._wait()
        return self.body

    async def splice(self, outlet: Outlet, tap: StreamTap) -> Ending:
        tap.framing = 2
        for chunk in self.chunks:
            tap.feed_whole(chunk)
            outlet.write(chunk)
        if self.caller_leaves:
            assert isinstance(outlet, OutletFake)
            outlet.gone = ClientGone()
        await self._wait()
        return Ending(self.held)

    async def _wait(self) -> None:
        if self.forever:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault

    def abandon(self) -> None:
        self.is_abandoned = True


def head_of(status: int = 200, kind: str = "application/json", **fields: str) -> Head:
    """A head; `content_encoding` becomes `content-encoding`."""
    headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in fields.items()}}
    return Head(status, headers, Framing.CHUNKED, length=0, keep_alive=True, size=0)


@dataclass(slots=True)
class UpstreamFake:
    """Gives these outcomes, one a call: an answer, a fault to raise, or what to do with the caller's patience before the next one."""

    journal: list[str] = field(default_factory=list)
    outcomes: list[AnswerFake | BaseException | Patient] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    outlets: list[OutletFake] = field(default_factory=list)
    give_up_at: float = 0.0

    async def open(self, call: Call, patience: Patience | None, give_up_at: float) -> AnswerFake:
        self.journal.append("open")
        self.calls.append(call)
        self.give_up_at = give_up_at
        while True:
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, AnswerFake):
                return outcome
            if isinstance(outcome, BaseException):
                raise outcome
            assert patience is not None
            outcome(patience)

    def outlet(self, fd: int) -> OutletFake:
        self.journal.append(f"outlet {fd}")
        self.outlets.append(OutletFake(self.journal))
        return self.outlets[-1]
