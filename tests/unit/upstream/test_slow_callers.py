"""Callers who read slowly, or not at all, or leave: their upstream waits for them or is let go, and nothing is lost or piled up."""

import asyncio

import pytest

from relay.domain.errors import TotalTimeout, UpstreamError, UpstreamIdleTimeout
from relay.ports import ClientGone, Ending
from relay.upstream.connection import READ_BYTES
from relay.wire.openai_stream import StreamTap
from tests.support.loops import both_loops
from tests.support.upstream import (
    DONE,
    LAST,
    ScriptedUpstream,
    chunk,
    event,
    forever,
    head,
    pause,
    say,
    silence,
    story,
    stream,
    until,
)
from tests.support.waiting import eventually
from tests.unit.upstream.rig import Recorder, Rig, payload_of, written

CLOSE = head(framing="")
BEGUN = head() + chunk(event("Hi"))


@both_loops
@pytest.mark.parametrize("framed", [True, False])
async def test_a_caller_who_reads_nothing_stops_the_upstream_and_misses_nothing(rig: Rig, framed: bool) -> None:  # noqa: FBT001
    events = [event("x" * 900 + str(number)) for number in range(9000)]
    text = b"".join(events)
    said = head() + chunk(*events, DONE) + LAST if framed else head(framing=f"Content-Length: {len(text + DONE)}") + text + DONE
    async with ScriptedUpstream((say(said),)) as upstream:
        caller, outlet = rig.caller()
        tap = StreamTap()
        task = asyncio.create_task(rig.splice(upstream, tap, outlet))
        line, sent = None, -1
        while line is None or line.sent != sent:
            sent = line.sent if line else -1
            await asyncio.sleep(0.05)
            line = upstream.lines[0]
        assert line.sent < len(said) - (1 << 20)
        assert 0 < outlet.waiting <= READ_BYTES + 100
        assert not task.done()
        reading = asyncio.create_task(caller.rest())
        ending = await task
        assert isinstance(ending, Ending)
        outlet.write(ending.held)
        await outlet.flushed()
        outlet.close()
        assert payload_of((await reading).removeprefix(b"HEAD|")) == text + DONE


async def test_a_caller_who_reads_on_when_his_stream_is_over_moves_nobody_elses(rig: Rig) -> None:
    """His upstream's connection serves somebody else by then, who reads nothing himself."""
    first = say(head() + chunk(event("x" * 50_000), DONE) + LAST)
    async with ScriptedUpstream((first,), (say(BEGUN), forever(chunk(event("x" * 30_000))))) as upstream:
        caller, outlet = rig.caller(send_buffer=4096)
        assert isinstance(await rig.splice(upstream, StreamTap(), outlet), Ending)
        assert outlet.waiting
        _, other = rig.caller()
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), other))
        await eventually(lambda: other.stuck_since)
        waiting = other.waiting
        await caller.until(b"x" * 50_000)
        await eventually(lambda: not outlet.waiting)
        await asyncio.sleep(0.02)
        assert other.waiting == waiting
        assert upstream.connections == 1
        task.cancel()


@both_loops
async def test_a_caller_who_takes_nothing_for_too_long_is_let_go(rig: Rig) -> None:
    async with ScriptedUpstream((say(BEGUN), forever(chunk(event("x" * 9000))))) as upstream:
        _, outlet = rig.caller()
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), outlet))
        await eventually(lambda: outlet.stuck_since)
        rig.ahead_s = 29
        await asyncio.sleep(0.03)
        assert not task.done()
        rig.ahead_s = 31
        gone = await task
        assert isinstance(gone, ClientGone)
        assert gone.reason == "send_timeout"
        await eventually(lambda: upstream.left, 1)


async def test_the_silence_of_an_upstream_that_is_paused_is_not_its_own(rig: Rig) -> None:
    """While the caller takes nothing the upstream's clock stands still, and it starts anew when he reads on."""
    async with ScriptedUpstream((say(BEGUN), say(*[chunk(event("x" * 9000)) for _ in range(900)]), say(chunk(DONE) + LAST))) as upstream:
        caller, outlet = rig.caller()
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), outlet, idle_s=0.05))
        await eventually(lambda: outlet.stuck_since)
        await asyncio.sleep(0.15)
        assert not task.done()
        while not task.done():
            await asyncio.wait([task, asyncio.create_task(caller.more())], return_when=asyncio.FIRST_COMPLETED)
        assert not isinstance(await task, Exception)


async def test_an_upstream_that_was_paused_has_all_its_time_again_when_the_caller_reads_on(rig: Rig) -> None:
    """It has nothing to say just then, and says the rest within its idle timeout."""
    gate = asyncio.Event()
    caller, outlet = rig.caller(send_buffer=4096)
    script = (say(BEGUN + chunk(event("x" * 60_000))), until(gate), say(chunk(DONE) + LAST))
    async with ScriptedUpstream(script) as upstream:
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), outlet, idle_s=0.1))
        await eventually(lambda: outlet.stuck_since)
        await asyncio.sleep(0.15)
        await caller.until(b"x" * 60_000)
        await eventually(lambda: outlet.stuck_since is None)
        await asyncio.sleep(0.05)
        gate.set()
        assert isinstance(await task, Ending)


async def test_the_total_timeout_covers_blocked_writes(rig: Rig) -> None:
    async with ScriptedUpstream((say(BEGUN), forever(chunk(event("x" * 9000))))) as upstream:
        _, outlet = rig.caller()
        assert isinstance(await rig.splice(upstream, StreamTap(), outlet, total_s=0.1), TotalTimeout)
        await eventually(lambda: upstream.left)


# --- callers who leave


@both_loops
@pytest.mark.parametrize("framed", [True, False])
async def test_a_caller_who_has_left_is_noticed_by_the_next_write(rig: Rig, framed: bool) -> None:  # noqa: FBT001
    text = event("Hi")
    async with ScriptedUpstream((say(BEGUN if framed else CLOSE + text), forever(chunk(text) if framed else text, 0.005))) as upstream:
        caller, outlet = rig.caller()
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), outlet))
        await caller.more()
        caller.fin()
        assert isinstance(await task, ClientGone)
        await eventually(lambda: upstream.left, 0.5)


@pytest.mark.parametrize("framed", [True, False])
async def test_a_caller_who_has_left_before_a_whole_stream_came_costs_only_himself(rig: Rig, framed: bool) -> None:  # noqa: FBT001
    """Everything comes in one read: its first write fails and its end is there."""
    text = b"".join(story("Hi"))
    said = stream(*story("Hi")) if framed else head(framing=f"Content-Length: {len(text)}") + text
    async with ScriptedUpstream((say(said),)) as upstream:
        caller, outlet = rig.caller()
        caller.fin()
        assert isinstance(await rig.splice(upstream, StreamTap(), outlet), ClientGone)
        await eventually(lambda: upstream.open == 0)
        await rig.stream(rig.call(upstream))


async def test_a_caller_who_leaves_while_he_is_stuck_is_noticed(rig: Rig) -> None:
    async with ScriptedUpstream((say(BEGUN), forever(chunk(event("x" * 9000))))) as upstream:
        caller, outlet = rig.caller()
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), outlet))
        await eventually(lambda: outlet.stuck_since)
        caller.fin()
        assert isinstance(await task, ClientGone)
        await eventually(lambda: upstream.left, 0.5)


# --- silence


async def test_a_patient_caller_is_told_whether_the_silence_lies_between_events(rig: Rig) -> None:
    recorder = Recorder()
    rest = chunk(event("there"))
    async with ScriptedUpstream((say(BEGUN), pause(0.06), say(rest[:40]), pause(0.06), say(rest[40:] + chunk(DONE) + LAST))) as upstream:
        _, outlet = rig.caller()
        answer = await rig.open(rig.call(upstream), recorder)
        await answer.splice(outlet, StreamTap())
    between = [is_between for _, is_between in recorder.told]
    assert between == sorted(between, reverse=True)
    assert set(between) == {True, False}
    fell = [later for (earlier, _), (later, _) in zip(recorder.told, recorder.told[1:], strict=False) if later < earlier]
    assert len(fell) == 1


async def test_an_upstream_that_falls_silent_is_left_at_the_idle_timeout_while_a_comment_counts_as_life(rig: Rig) -> None:
    alive = [step for _ in range(6) for step in (pause(0.03), say(chunk(b": alive\n\n")))]
    async with ScriptedUpstream((say(BEGUN), *alive, silence)) as upstream:
        caller, outlet = rig.caller()
        end = await rig.splice(upstream, StreamTap(), outlet, idle_s=0.08)
        assert isinstance(end, UpstreamIdleTimeout)
        assert isinstance(end, UpstreamError)
        assert (await written(caller, outlet)).count(b": alive") == 6
