"""A walk through a world of fakes."""

import json
from collections.abc import Callable

import orjson

from relay.domain.channel import Candidate
from relay.domain.endpoints import Endpoint
from relay.domain.usage import Usage
from relay.exchange import Limits, World, exchange, stream_head
from relay.ports import Inbound, Patience, Streamed, Whole
from relay.providers.table import ADAPTERS
from tests.support.builders import CHAT, KEY, candidate, channel
from tests.support.caller import chat
from tests.support.ports import AnswerFake, Chance, Channels, Clock, Keys, Ledger, Observer, OutletFake, UpstreamFake, head_of
from tests.support.upstream import DONE, chunk, completion

ID = "0123456789abcdef0123456789abcdef"
HEAD = stream_head(ID)
SSE = "text/event-stream; charset=utf-8"


class Walk:
    """A world of fakes, and one request in it."""

    def __init__(self, *outcomes: AnswerFake | BaseException | Callable[[Patience], None], candidates: tuple[Candidate, ...] = ()) -> None:
        self.journal: list[str] = []
        self.clock = Clock()
        self.ledger = Ledger(self.journal)
        self.observer = Observer(self.journal)
        self.upstream = UpstreamFake(self.journal, list(outcomes))
        self.channels = Channels(*(candidates or map(candidate, map(channel, ("main", "second", "third", "fourth")))))
        self.keys = Keys()
        self.limits = Limits(tries=3, commit_s=10, ping_s=15, total_s=60, answer_bytes=1000)

    async def run(self, body: object = None, *, secret: str = KEY, stream: bool = False, endpoint: Endpoint = CHAT) -> Whole | Streamed:
        inbound = Inbound(
            request_id=ID,
            endpoint=endpoint,
            body=body if isinstance(body, bytes) else json.dumps(chat(stream=stream) if body is None else body).encode(),
            secret=secret,
            address="192.0.2.1",
            began_at=self.clock.now,
            take_socket=self.take_socket,
        )
        return await exchange(inbound, self.world())

    def world(self) -> World:
        return World(self.clock, Chance(), self.keys, self.channels, self.ledger, self.upstream, self.observer, ADAPTERS, self.limits)

    async def take_socket(self) -> int:
        self.journal.append("take socket")
        return 7

    @property
    def told(self) -> tuple[int, str, list[str], str]:
        """Status, code, results of the attempts, phase in which the caller left."""
        report = self.observer.report
        return report.status, report.code, [attempt.result for attempt in report.attempts], report.gone_phase

    def settled(self) -> Usage | None:
        """What the one settlement was for."""
        assert self.ledger.held == set()
        [(request_id, used)] = self.ledger.settled
        assert request_id == ID
        return used

    @property
    def outlet(self) -> OutletFake:
        [outlet] = self.upstream.outlets
        return outlet


def whole(body: object = None, **head: object) -> AnswerFake:
    """An answer in one piece."""
    return AnswerFake(head_of(**head), orjson.dumps(completion() if body is None else body))  # type: ignore[arg-type]


def streamed(*events: bytes, fault: BaseException | None = None, first_token_at: float | None = None) -> AnswerFake:
    """A stream of these events, and then its end marker or a fault."""
    held = b"" if fault else chunk(DONE)
    return AnswerFake(head_of(kind=SSE), chunks=tuple(map(chunk, events)), held=held, fault=fault, first_token_at=first_token_at)
