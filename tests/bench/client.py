"""The callers of the bench: one process, one epoll loop, each caller sends its next request when the last one was answered.

Takes a Load as JSON and prints `begin` and `end` around the time that counts, so that the bench can read processor times at both
moments, then one line with what was seen. A first stream has a random length, so that from the start the callers are spread evenly
over their streams and no wave of requests comes round; answers take a random time to begin for the same reason.
"""

import json
import random
import select
import socket
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from tests.bench import wire
from tests.bench.figures import quantile

_READ_BYTES = 16 << 10
_LOOK_UP_S = 0.005
_PATIENCE_S = 30.0
_RETRY_S = 0.05
_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the callers do. `chunks` 0: answers in one piece."""

    port: int
    callers: int
    chunks: int
    pace_us: int
    first_us: int
    ramp_s: float  # over which the callers begin
    warm_s: float  # after the last has begun
    measure_s: float
    hold: bool = False  # measure from the moment when all streams are open


@dataclass(slots=True)
class Seen:
    """What the callers saw while it counted; `failures` at any time."""

    chunks: int = 0
    answers: int = 0
    late_us: list[int] = field(default_factory=list)  # first content of each answer, beyond the time that was asked for
    delay_us: list[int] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


class Caller:
    """One connection and its answers."""

    __slots__ = ("_crowd", "_due_us", "_reader", "_sock", "begun")

    def __init__(self, crowd: "Crowd") -> None:
        self.begun = False  # has received a first chunk
        self._crowd = crowd
        self._sock: socket.socket | None = None
        self._reader = wire.AnswerReader(0)
        self._due_us = 0  # when the first content would be here if nothing cost any time

    def ask(self, chunks: int) -> None:
        """Send a request, over the connection that there is."""
        crowd = self._crowd
        self._reader = wire.AnswerReader(chunks)
        wish = wire.Wish(chunks, crowd.load.pace_us, crowd.first_us())
        self._due_us = time.monotonic_ns() // 1000 + wish.first_us
        try:
            if self._sock is None:
                self._sock = socket.create_connection(("127.0.0.1", crowd.load.port), timeout=_CONNECT_S)
                self._sock.settimeout(0)
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                crowd.watch(self._sock, self)
            self._sock.send(wire.request(wish, f"127.0.0.1:{crowd.load.port}"))
        except OSError as error:
            self._failed(type(error).__name__)

    def ready(self) -> None:
        """Read what has come."""
        crowd = self._crowd
        assert self._sock is not None
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now_us = time.monotonic_ns() // 1000
        if not data:
            self._failed("connection closed")
            return
        reader, seen = self._reader, crowd.seen
        try:
            stamps = reader.feed(data)
        except (wire.Broken, ValueError) as error:
            self._failed(str(error))
            return
        if stamps:
            if reader.seen == len(stamps):
                self.begun = True
                if crowd.counting:
                    seen.late_us.append(now_us - self._due_us)
            if crowd.counting:
                seen.chunks += len(stamps)
                seen.delay_us += [now_us - stamp for stamp in stamps]
        if reader.over:
            self._answered(now_us)

    def _answered(self, now_us: int) -> None:
        crowd = self._crowd
        if crowd.counting:
            crowd.seen.answers += 1
            if not crowd.load.chunks:
                crowd.seen.late_us.append(now_us - self._due_us)
        if not self._reader.keep_alive:
            self._hang_up()
        self.ask(crowd.load.chunks)

    def _failed(self, why: str) -> None:
        self._crowd.seen.failures[why] += 1
        self._hang_up()
        self._crowd.again(self)

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._crowd.forget(self._sock)
            self._sock.close()
            self._sock = None


class Crowd:
    """All callers and the loop that they share."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.seen = Seen()
        self.counting = False
        self._epoll = select.epoll()
        self._by_fd: dict[int, Caller] = {}
        self._chance = random.Random(load.callers)  # noqa: S311 - spreads load, guards nothing
        self._callers = [Caller(self) for _ in range(load.callers)]
        self._later: deque[tuple[float, Caller]] = deque()

    def first_us(self) -> int:
        """Choose how long an answer takes to begin: never all alike, or the callers would fall into step."""
        return round(self.load.first_us * self._chance.uniform(0.5, 1.5))

    def watch(self, sock: socket.socket, caller: Caller) -> None:
        """Hear of a connection."""
        self._by_fd[sock.fileno()] = caller
        self._epoll.register(sock, select.EPOLLIN)

    def forget(self, sock: socket.socket) -> None:
        """Hear no more of it. Must come before it is closed."""
        with suppress(KeyError):
            del self._by_fd[sock.fileno()]
            self._epoll.unregister(sock)

    def again(self, caller: Caller) -> None:
        """Let a caller ask once more, a moment after a failure."""
        self._later.append((time.monotonic() + _RETRY_S, caller))

    def run(self) -> None:
        """Let the callers begin one after another, then count for a while."""
        load = self.load
        began = time.monotonic()
        for number, caller in enumerate(self._callers):
            self._serve(began + load.ramp_s * number / load.callers)
            caller.ask(load.chunks if load.hold or not load.chunks else self._chance.randint(1, load.chunks))
        if load.hold:
            give_up = time.monotonic() + _PATIENCE_S
            while not all(caller.begun for caller in self._callers):
                if time.monotonic() > give_up:
                    self.seen.failures["streams that never began"] += sum(not caller.begun for caller in self._callers)
                    break
                self._serve(time.monotonic() + _LOOK_UP_S)
        self._serve(time.monotonic() + load.warm_s)
        _say("begin")
        self.counting = True
        self._serve(time.monotonic() + load.measure_s)
        self.counting = False
        _say("end")

    def _serve(self, until: float) -> None:
        by_fd = self._by_fd
        while (now := time.monotonic()) < until:
            while self._later and self._later[0][0] <= now:
                self._later.popleft()[1].ask(self.load.chunks)
            for fd, _ in self._epoll.poll(min(until - now, _LOOK_UP_S)):
                caller = by_fd.get(fd)
                if caller is not None:
                    caller.ready()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def summary(seen: Seen) -> dict[str, object]:
    """Reduce what was seen to what the bench keeps. Times in milliseconds."""
    first, delay = sorted(seen.late_us), sorted(seen.delay_us)
    return {
        "chunks": seen.chunks,
        "answers": seen.answers,
        "first_p50_ms": quantile(first, 0.5) / 1000,
        "delay_p50_ms": quantile(delay, 0.5) / 1000,
        "delay_p99_ms": quantile(delay, 0.99) / 1000,
        "failures": dict(seen.failures),
    }


def main(load_json: str) -> None:
    """Run one load."""
    crowd = Crowd(Load(**json.loads(load_json)))
    crowd.run()
    _say(json.dumps(summary(crowd.seen)))


def arguments(load: Load) -> list[str]:
    """Make the command line that runs a load."""
    return [sys.executable, "-m", "tests.bench.client", json.dumps(asdict(load))]


if __name__ == "__main__":
    main(sys.argv[1])
