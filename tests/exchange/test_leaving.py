"""Callers who leave, in every phase and in every way: their upstream is let go at once, they are counted, and nobody else notices."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import pytest

from relay.domain.usage import Usage
from tests.exchange.running import Running, channel_to, running
from tests.support.caller import Caller, chat, request
from tests.support.loops import both_loops
from tests.support.upstream import (
    DONE,
    LAST,
    Line,
    ScriptedUpstream,
    Step,
    chunk,
    event,
    forever,
    head,
    json_answer,
    pause,
    reset,
    say,
    silence,
    story,
    stream,
    usage,
)
from tests.support.waiting import eventually, open_descriptors

SOON_S = 0.5
BIG = chunk(event("x" * 9000))
Leave = Callable[[Caller], None]


def fin(caller: Caller) -> None:
    caller.fin()


def rst(caller: Caller) -> None:
    caller.reset()


async def leave(caller: Caller, how: Leave, upstream: ScriptedUpstream) -> float:
    """Leave, and say how long the upstream's connection was kept."""
    left = asyncio.get_running_loop().time()
    how(caller)
    await eventually(lambda: upstream.left, SOON_S)
    return upstream.left[-1] - left


def gone(relay: Running) -> tuple[str, str, list[str]]:
    """How the one exchange was told: code, phase, attempts."""
    report = relay.observer.report
    return report.code, report.gone_phase, [attempt.result for attempt in report.attempts]


# --- in every phase


@both_loops
@pytest.mark.parametrize("how", [fin, rst])
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\n", head(kind="application/json") + chunk(b"{")], ids=["nothing", "half a head", "half a body"]
)
async def test_before_anything_has_come(said: bytes, is_stream: bool, how: Leave) -> None:  # noqa: FBT001
    async with ScriptedUpstream((say(said) if said else pause(0), silence)) as upstream, running(channel_to(upstream)) as relay:
        caller = await relay.caller()
        await caller.send(request(chat(stream=is_stream)))
        await eventually(lambda: upstream.heard)
        await asyncio.sleep(0.01)
        assert await leave(caller, how, upstream) < SOON_S
        await eventually(lambda: relay.observer.reports)
        assert gone(relay) == ("client_closed", "head", ["cancelled"])
        assert relay.ledger.settled == [("f" * 32, None)]


@both_loops
@pytest.mark.parametrize("how", [fin, rst])
@pytest.mark.parametrize("behind", [silence, forever(chunk(event("Hi")), 0.001)], ids=["silent", "talking"])
async def test_in_the_middle_of_a_stream(behind: Step, how: Leave) -> None:
    begun = say(head() + chunk(event("Hi"), event(usage=usage(5, 6))))
    async with ScriptedUpstream((begun, behind)) as upstream, running(channel_to(upstream)) as relay:
        caller = await relay.caller()
        await caller.send(request(chat(stream=True)))
        await caller.until(event(usage=usage(5, 6)))
        assert await leave(caller, how, upstream) < SOON_S
        await eventually(lambda: relay.observer.reports)
        assert gone(relay) == ("client_closed", "stream", ["cancelled"])
        assert relay.ledger.settled == [("f" * 32, Usage(5, 6))]
        assert relay.observer.report.first_token_s is not None


@both_loops
@pytest.mark.parametrize("how", [fin, rst])
async def test_while_the_upstream_is_paused_for_him(how: Leave) -> None:
    async with ScriptedUpstream((say(head()), forever(BIG))) as upstream, running(channel_to(upstream), send_buffer=4096) as relay:
        caller = await relay.caller(receive_buffer=4096)
        await caller.send(request(chat(stream=True)))
        await caller.more()
        sent = -1
        while upstream.lines[0].sent != sent:
            sent = upstream.lines[0].sent
            assert sent < 64 << 20
            await asyncio.sleep(0.03)
        assert await leave(caller, how, upstream) < SOON_S
        await eventually(lambda: relay.observer.reports)
        assert gone(relay) == ("client_closed", "stream", ["cancelled"])


@both_loops
@pytest.mark.parametrize("how", [fin, rst])
async def test_while_he_is_kept_alive_by_pings(how: Leave) -> None:
    async with ScriptedUpstream((silence,)) as upstream, running(channel_to(upstream), commit_s=0.01, ping_s=0.01) as relay:
        caller = await relay.caller()
        await caller.send(request(chat(stream=True)))
        await caller.until(b": ping")
        assert await leave(caller, how, upstream) < SOON_S
        await eventually(lambda: relay.observer.reports)
        assert gone(relay) == ("client_closed", "head", ["cancelled"])


@both_loops
@pytest.mark.parametrize("how", [fin, rst])
async def test_while_the_end_is_being_settled(how: Leave) -> None:
    async with ScriptedUpstream((say(stream(*story("Hi"))),)) as upstream, running(channel_to(upstream)) as relay:
        relay.ledger.gate.clear()
        caller = await relay.caller()
        await caller.send(request(chat(stream=True)))
        await caller.until(event(usage=usage(3, 1)))
        how(caller)
        await asyncio.sleep(0.02)
        relay.ledger.gate.set()
        await eventually(lambda: relay.observer.reports)
        assert relay.ledger.settled == [("f" * 32, Usage(3, 1))]
        assert relay.observer.report.gone_phase == "stream"


@pytest.mark.parametrize("how", [fin, rst])
async def test_in_the_middle_of_his_own_request(how: Leave, caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedUpstream((silence,)) as upstream, running(channel_to(upstream)) as relay:
        caller = await relay.caller()
        await caller.send(request(chat())[:-5])
        await asyncio.sleep(0.01)
        how(caller)
        await eventually(lambda: relay.public.open == 0)
        assert upstream.connections == 0
        assert relay.observer.reports == []
    assert caplog.records == []


async def test_after_the_last_byte_the_upstream_serves_on() -> None:
    script = (say(json_answer({"choices": []})),), (say(stream(*story("Hi"))),)
    async with ScriptedUpstream(*script) as upstream, running(channel_to(upstream)) as relay:
        for is_stream in (False, True, True):
            await relay.ask(stream=is_stream)
        assert upstream.connections == 1
        assert upstream.left == []
        assert all(report.gone_phase == "" for report in relay.observer.reports)


# --- nobody else notices


async def echo(line: Line) -> None:
    """Stream the request's own text, so that each caller knows his own answer."""
    assert line.heard is not None
    text = str(line.heard.json["text"])
    await line.send(head() + chunk(event(text)))
    await asyncio.sleep(0)
    await line.send(chunk(event(finish="stop"), DONE) + LAST)


@both_loops
async def test_five_hundred_callers_who_close_at_the_last_byte_never_harm_another() -> None:
    """Half of all callers close as soon as they have seen their text or their end; the other half must each get his own answer whole."""
    spoilt: list[object] = []

    async def one(relay: Running, number: int) -> None:
        caller = await relay.caller()
        await caller.send(request(chat(stream=True, text=f"text {number}")))
        if number % 2:
            await caller.until(event(f"text {number}") if number % 4 == 1 else DONE)
            (caller.fin if number % 8 > 3 else caller.reset)()
            return
        reply = await caller.reply()
        if not reply.is_whole or event(f"text {number}") not in reply.body:
            spoilt.append(reply)
        caller.fin()

    async def many(relay: Running, numbers: range) -> None:
        for number in numbers:
            await one(relay, number)

    async with ScriptedUpstream((echo,)) as upstream, running(channel_to(upstream)) as relay:
        await asyncio.gather(*(many(relay, range(start, 500, 10)) for start in range(10)))
        assert spoilt == []
        await eventually(lambda: len(relay.observer.reports) == 500)
        assert len(upstream.heard) >= 500


@both_loops
async def test_after_a_mix_of_all_that_can_happen_no_descriptor_is_left_open() -> None:
    scripts: list[tuple[Step, ...]] = [
        (say(stream(*story("Hi"))),),
        (say(json_answer({"choices": []})),),
        (say(head() + chunk(event("Hi"))), reset),
        (say(head() + chunk(event("Hi"))), silence),
        (say(head()), forever(BIG)),
        (silence,),
        (say(b"nonsense"),),
    ]
    async with ScriptedUpstream((silence,)) as upstream:
        async with running(channel_to(upstream)):
            pass  # uvloop opens one for itself with the first listener
        before = open_descriptors()
        async with running(channel_to(upstream, first_byte_s=0.05, idle_s=0.05), send_buffer=4096) as relay:
            for number in range(70):
                upstream.script(scripts[number % 7])
                caller = await relay.caller(receive_buffer=4096)
                await caller.send(request(chat(stream=number % 2 == 0)))
                if number % 3:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await caller.more()
                (caller.reset if number % 5 else caller.fin)()
            await eventually(lambda: relay.public.open == 0)
            assert len(relay.observer.reports) > 40
        await eventually(lambda: open_descriptors() == before)


async def test_a_relay_that_stops_lets_everybody_go() -> None:
    before = open_descriptors()
    began = time.monotonic()
    async with ScriptedUpstream((say(head() + chunk(event("Hi"))), silence)) as upstream, running(channel_to(upstream)) as relay:
        caller = await relay.caller()
        await caller.send(request(chat(stream=True)))
        await caller.until(event("Hi"))
    assert time.monotonic() - began < 5
    assert upstream.left
    await eventually(lambda: open_descriptors() == before)
