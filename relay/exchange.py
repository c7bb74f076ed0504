"""THE WALK: one request from top to bottom, against ports only.

    who -> read -> may -> reserve -> where -> open -> send -> stream or collect -> settle -> observe

One loop (candidates), one `finally` (settle). Nothing of an answer is repeated: another channel is tried only while no byte of an
answer has gone to the caller. The end of an answer leaves after its settlement.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from relay.domain.access import Principal, identify, permit, permit_model, printable
from relay.domain.channel import Candidate
from relay.domain.errors import Fault, Internal, ModelNotFound, UpstreamError, UpstreamProtocol, UpstreamRefused, is_retryable
from relay.domain.failover import verdict
from relay.domain.routing import route
from relay.ports import (
    Answer,
    Attempt,
    Call,
    Chance,
    Channels,
    ClientGone,
    Clock,
    ExchangeReport,
    Inbound,
    Keys,
    Ledger,
    Observer,
    Outlet,
    Reservation,
    Streamed,
    Upstream,
    Whole,
)
from relay.providers.adapter import Adapter
from relay.wire import chat
from relay.wire.chunks import LAST_CHUNK, frame
from relay.wire.http_head import response_head
from relay.wire.openai_error import error_event
from relay.wire.openai_stream import StreamTap
from relay.wire.openai_whole import read_whole, usage_of

PING: Final = frame(b": ping\n\n")
EVENT_STREAM: Final = "text/event-stream"
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that the walk needs."""

    tries: int
    commit_s: float
    ping_s: float
    total_s: float
    answer_bytes: int


@dataclass(frozen=True, slots=True)
class World:
    """Everything that the walk asks: ports, adapters, limits."""

    clock: Clock
    chance: Chance
    keys: Keys
    channels: Channels
    ledger: Ledger
    upstream: Upstream
    observer: Observer
    adapters: Mapping[str, Adapter]
    limits: Limits


async def exchange(inbound: Inbound, world: World) -> Whole | Streamed:
    """Serve one request. Raises Fault for the caller, or ClientGone."""
    report = ExchangeReport(inbound.request_id, inbound.endpoint)
    world.observer.began(inbound.endpoint)
    try:
        answer = await _walk(inbound, world, report)
    except Fault as fault:
        report.status, report.code = fault.answer_status, fault.code or fault.type
        raise
    except ClientGone as gone:
        report.gone_phase, report.code = report.gone_phase or "head", f"client_{gone.reason}"
        raise
    except asyncio.CancelledError:  # the server cancels us when the caller's connection is lost
        report.gone_phase, report.code = report.gone_phase or "head", "client_closed"
        raise
    except BaseException:
        report.status, report.code = Internal.status, str(Internal.code)
        raise
    else:
        report.status = report.status or (answer.status if isinstance(answer, Whole) else _OK)
        return answer
    finally:
        report.duration_s = world.clock.monotonic() - inbound.began_at
        world.observer.ended(report)


async def _walk(inbound: Inbound, world: World, report: ExchangeReport) -> Whole | Streamed:
    began = world.clock.monotonic()
    principal = _who(inbound.secret, inbound.address, world)
    report.key = principal.name
    request = chat.read(inbound.body, inbound.endpoint)
    report.model, report.stream = request.model, request.stream
    permit_model(principal, request.model)
    table = world.channels.table()
    if request.model not in table.tiers:
        report.model = ""
        msg = f"The model `{printable(request.model)}` does not exist or you do not have access to it."
        raise ModelNotFound(msg, param="model")
    now = world.clock.monotonic()
    report.auth_s = now - began
    reservation = await world.ledger.reserve(inbound.request_id, principal.name)
    tries = _Tries(inbound, world, report, request, reservation)
    try:
        if request.stream:
            await tries.take_socket()
        return await tries.run(route(table, request.model, world.chance.turn()))
    finally:
        tries.close()
        await tries.settle_at_last()


def _who(secret: str, address: str, world: World) -> Principal:
    principal = identify(secret, world.keys.principals())
    permit(principal, address, world.clock.today())
    return principal


def models_for(secret: str, address: str, world: World) -> tuple[str, ...]:
    """The public models that a caller may use. Raises Fault."""
    principal = _who(secret, address, world)
    models = world.channels.table().models
    return models if principal.models is None else tuple(model for model in models if model in principal.models)


class _Waiting:
    """Keeps a streaming caller alive while the upstream is silent, and holds the status line back until there is something to say."""

    def __init__(self, outlet: Outlet, began_at: float, world: World) -> None:
        self._outlet = outlet
        self._world = world
        self._commit_at = began_at + world.limits.commit_s
        self._next_ping_s = world.limits.ping_s
        self._quiet_s = 0.0

    def silent(self, quiet_s: float, *, between_events: bool) -> None:
        """Commit to a stream when the moment has come; a comment line after each `ping_s` of silence."""
        if not self._outlet.begun:
            if self._world.clock.monotonic() < self._commit_at:
                return
            self._next_ping_s = quiet_s
        elif quiet_s < self._quiet_s:
            self._next_ping_s = self._world.limits.ping_s
        self._quiet_s = quiet_s
        if between_events and quiet_s >= self._next_ping_s:
            self._outlet.write(PING)
            self._next_ping_s = quiet_s + self._world.limits.ping_s


def _detail(fault: UpstreamError) -> str:
    """What the operator is told of a failed try: also what lies beneath, which no caller is shown."""
    status = f" (status {fault.upstream_status})" if fault.upstream_status else ""
    cause = f" {type(fault.__cause__).__name__}: {fault.__cause__}" if fault.__cause__ else ""
    return fault.message + status + cause


def stream_head(request_id: str) -> bytes:
    """The head of every stream. Our own words: nothing of the upstream's head is passed on."""
    return response_head(
        _OK,
        [
            ("Content-Type", "text/event-stream; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", request_id),
            ("X-Accel-Buffering", "no"),
            ("Transfer-Encoding", "chunked"),
        ],
    )


class _Tries:
    """The loop over candidates for one request."""

    def __init__(self, inbound: Inbound, world: World, report: ExchangeReport, request: chat.ChatRequest, reservation: Reservation) -> None:
        self._inbound = inbound
        self._world = world
        self._report = report
        self._request = request
        self._reservation = reservation
        self._outlet: Outlet | None = None
        self._waiting: _Waiting | None = None
        self._tap = StreamTap()  # of the try under way
        self._phase = "head"
        self._is_settled = False
        self._give_up_at = inbound.began_at + world.limits.total_s

    async def take_socket(self) -> None:
        """A stream is written by us, not by the server."""
        self._outlet = self._world.upstream.outlet(await self._inbound.take_socket())
        self._outlet.lead(stream_head(self._inbound.request_id))
        self._waiting = _Waiting(self._outlet, self._inbound.began_at, self._world)
        self._world.observer.stream_opened()

    def close(self) -> None:
        """Let go of the caller's socket."""
        if self._outlet is not None:
            self._outlet.close()
            self._world.observer.stream_closed()

    async def settle(self) -> None:
        """Settle, once."""
        if not self._is_settled:
            await self._world.ledger.settle(self._reservation, self._report.usage)
            self._is_settled = True

    async def settle_at_last(self) -> None:
        """Settle whatever happened. A failure can't be told to a caller whose stream has begun; he has not seen the end marker."""
        try:
            await self.settle()
        except Fault as fault:
            if self._outlet is None or not self._outlet.begun:
                raise
            self._report.code = self._report.code or fault.code or fault.type

    async def run(self, candidates: Iterator[Candidate]) -> Whole | Streamed:
        """Try one candidate after another while nothing of an answer has been sent."""
        faults: list[UpstreamError] = []
        try:
            for candidate in islice(candidates, self._world.limits.tries):
                try:
                    return await self._attempt(candidate)
                except UpstreamError as fault:
                    if not is_retryable(fault) or not self._tap.untouched:
                        raise
                    faults.append(fault)
            raise verdict(faults, self._request.model)
        except Fault as fault:
            if self._outlet is None or not self._outlet.begun:
                raise
            return await self._break_off(fault, self._outlet)
        except (ClientGone, asyncio.CancelledError):
            self._report.gone_phase = self._phase
            raise

    async def _attempt(self, candidate: Candidate) -> Whole | Streamed:
        """One candidate, recorded."""
        clock, report = self._world.clock, self._report
        began = clock.monotonic()
        if report.route_s is None:
            report.route_s = began - self._inbound.began_at
        result, detail, head_s = "cancelled", "", None
        self._tap, self._phase = StreamTap(), "head"
        try:
            answer = await self._world.upstream.open(self._call(candidate), self._waiting, self._give_up_at)
            head_s = clock.monotonic() - began
            try:
                done = await self._take(answer, candidate)
            finally:
                answer.abandon()
        except UpstreamError as fault:
            result, detail = fault.code or fault.type, _detail(fault)
            raise
        else:
            result = "ok"
            return done
        finally:
            report.attempts.append(Attempt(candidate, self._request.model, result, head_s, clock.monotonic() - began, detail))

    def _call(self, candidate: Candidate) -> Call:
        channel = candidate.channel
        body = chat.write(self._request, channel.models[self._request.model])
        head = self._world.adapters[channel.provider].request_head(candidate, self._inbound.endpoint)
        tail = b"X-Request-Id: %b\r\nContent-Length: %d\r\n\r\n" % (self._inbound.request_id.encode("ascii"), len(body))
        return Call(channel, head + tail, body)

    async def _take(self, answer: Answer, candidate: Candidate) -> Whole | Streamed:
        head = answer.head
        if head.headers.get("content-encoding", "identity").lower() != "identity":
            msg = "The upstream sent a compressed answer that nobody asked for."
            raise UpstreamProtocol(msg)
        is_stream = head.headers.get("content-type", "").lower().startswith(EVENT_STREAM)
        if head.status == _OK and is_stream and self._outlet is not None:
            return await self._stream(answer, self._outlet)
        body = await answer.whole(self._world.limits.answer_bytes)
        if head.status != _OK:
            adapter = self._world.adapters[candidate.channel.provider]
            raise adapter.explain(head, body, secret=candidate.credential.secret if candidate.credential else "")
        parsed = read_whole(body)
        if parsed is None:
            msg = "The upstream's answer is not a JSON object."
            raise UpstreamProtocol(msg)
        if parsed.get("error"):
            msg = "The upstream failed to answer."
            raise UpstreamRefused(msg, upstream_status=head.status)
        if self._outlet is not None:
            msg = "The upstream answered without streaming."
            raise UpstreamProtocol(msg)
        self._report.usage = usage_of(parsed)
        return Whole(_OK, "application/json", body)

    async def _stream(self, answer: Answer, outlet: Outlet) -> Streamed:
        """Splice, settle, then let the held end go."""
        clock, report, tap = self._world.clock, self._report, self._tap
        self._phase = "stream"
        try:
            ending = await answer.splice(outlet, tap)
        finally:
            report.usage = tap.usage()
            if answer.first_token_at is not None:
                report.first_token_s = answer.first_token_at - self._inbound.began_at
        ended = clock.monotonic()
        await self.settle()
        outlet.write(ending.held + LAST_CHUNK)
        await outlet.flushed()
        report.finish_s = clock.monotonic() - ended
        return Streamed(keep_alive=True)

    async def _break_off(self, fault: Fault, outlet: Outlet) -> Streamed:
        """The stream has begun and can't be completed: say so in it, and end it so that every hop sees a cut."""
        self._report.status, self._report.code = _OK, fault.code or fault.type
        try:
            if self._tap.between_events and not self._tap.failed:  # the upstream has said it itself
                outlet.write(frame(error_event(fault)))
            await outlet.flushed()
        except (ClientGone, asyncio.CancelledError):
            self._report.gone_phase = self._phase
            raise
        return Streamed(keep_alive=False)
