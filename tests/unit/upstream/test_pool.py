"""Connections are kept and used again, and no caller ever gets another's bytes, or another's trouble."""

import asyncio
import json

import pytest

from relay.config.ladder import UPSTREAM_IDLE_S
from relay.domain.errors import UpstreamClosed
from relay.upstream import pool as pool_module
from relay.upstream.connection import Connection
from relay.wire.openai_stream import StreamTap
from tests.support.loops import both_loops
from tests.support.upstream import (
    DONE,
    LAST,
    Line,
    ScriptedUpstream,
    Step,
    chunk,
    cut,
    forever,
    head,
    hear,
    json_answer,
    pause,
    reset,
    say,
    silence,
    story,
    stream,
)
from tests.support.waiting import eventually, open_descriptors
from tests.unit.upstream.rig import Rig

WHOLE = say(json_answer({"answer": 1}))


async def echo(line: Line) -> None:
    """Answer with the request's own body."""
    assert line.heard is not None
    await line.send(json_answer(line.heard.body))


async def echo_stream(line: Line) -> None:
    """Stream the request's own body."""
    assert line.heard is not None
    text = b"data: " + line.heard.body + b"\n\n"
    await line.send(head() + chunk(text))
    await asyncio.sleep(0)
    await line.send(chunk(DONE) + LAST)


# --- keep-alive


@both_loops
async def test_a_connection_that_has_answered_serves_again(rig: Rig) -> None:
    async with ScriptedUpstream((WHOLE,), (say(stream(*story("Hi"))),), (WHOLE,)) as upstream:
        await rig.whole(rig.call(upstream))
        await rig.stream(rig.call(upstream))
        await rig.whole(rig.call(upstream))
    assert [heard.connection for heard in upstream.heard] == [1, 1, 1]


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({}, 200, "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        json_answer({}) + b"x",
        head(kind="application/json") + chunk(b"{}") + LAST + b"HTTP/1.1 200 OK\r\n",
        head(204, framing="") + b"x",
    ],
    ids=["connection-close", "http-1.0", "stray-after-length", "stray-after-chunks", "stray-after-nothing"],
)
async def test_a_connection_that_must_not_serve_again_does_not(rig: Rig, answer: bytes) -> None:
    async with ScriptedUpstream((say(answer),), (WHOLE,)) as upstream:
        await rig.whole(rig.call(upstream))
        assert (await rig.whole(rig.call(upstream)))[1] == b'{"answer": 1}'
    assert [heard.connection for heard in upstream.heard] == [1, 2]


async def test_a_body_that_ends_with_the_connection_is_read_to_its_end(rig: Rig) -> None:
    async with ScriptedUpstream((say(head(kind="application/json", framing=""), b"{}"), cut)) as upstream:
        assert (await rig.whole(rig.call(upstream)))[1] == b"{}"


async def test_an_idle_connection_is_closed_in_time(rig: Rig) -> None:
    async with ScriptedUpstream((WHOLE, silence)) as upstream:
        await rig.whole(rig.call(upstream))
        await asyncio.sleep(0.03)
        assert upstream.open == 1
        rig.ahead_s = UPSTREAM_IDLE_S + 1
        await eventually(lambda: upstream.open == 0)


async def test_no_more_than_so_many_connections_rest(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MOST_IDLE", 2)
    async with ScriptedUpstream((WHOLE, silence)) as upstream:
        await asyncio.gather(*(rig.whole(rig.call(upstream)) for _ in range(5)))
        assert upstream.connections == 5
        await eventually(lambda: upstream.open == 2)


@pytest.mark.parametrize("behind", [chunk(b": ping\n\n"), b"1;"])
async def test_an_upstream_that_talks_on_behind_its_end_is_left(rig: Rig, behind: bytes) -> None:
    """With further chunks, or with a framing that never ends."""
    async with ScriptedUpstream((say(head(), chunk(b"".join(story("Hi")))), pause(0.01), forever(behind, 0.002))) as upstream:
        await rig.stream(rig.call(upstream))
        await eventually(lambda: upstream.open == 0, 0.3)


async def test_a_defect_in_one_sweep_costs_neither_the_timer_nor_the_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    broken: list[Connection] = []
    sweep = Connection.sweep

    def sweep_or_break(connection: Connection, now: float) -> None:
        broken.append(connection)
        if connection is broken[0]:
            raise ZeroDivisionError
        sweep(connection, now)

    monkeypatch.setattr(Connection, "sweep", sweep_or_break)
    async with ScriptedUpstream((silence,)) as upstream:
        call = rig.call(upstream, first_byte_s=0.05)
        ends = await asyncio.gather(*(rig.open(call) for _ in range(2)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["UpstreamClosed", "UpstreamFirstByteTimeout"]


# --- upstreams that promise keep-alive and close


@both_loops
async def test_fifty_requests_to_an_upstream_that_closes_after_each_stream_all_succeed(rig: Rig) -> None:
    async with ScriptedUpstream((say(stream(*story("Hi"))), cut)) as upstream:
        for _ in range(50):
            ending, _ = await rig.stream(rig.call(upstream))
            assert ending.held.endswith(b"data: [DONE]\n\n\r\n")
    assert len(upstream.heard) == 50


@pytest.mark.parametrize("end", [cut, reset])
async def test_a_request_that_meets_the_end_of_a_resting_connection_is_sent_again_on_a_new_one(rig: Rig, end: Step) -> None:
    async with ScriptedUpstream((WHOLE,), (end,), (WHOLE,)) as upstream:
        await rig.whole(rig.call(upstream))
        assert (await rig.whole(rig.call(upstream)))[1] == b'{"answer": 1}'
    assert [heard.connection for heard in upstream.heard] == [1, 1, 2]


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_request_is_not_sent_again_once_a_byte_of_an_answer_has_come(rig: Rig, begun: bytes) -> None:
    async with ScriptedUpstream((WHOLE,), (say(begun), cut), (WHOLE,)) as upstream:
        await rig.whole(rig.call(upstream))
        with pytest.raises(UpstreamClosed):
            await rig.whole(rig.call(upstream))
    assert len(upstream.heard) == 2


async def test_a_request_is_sent_again_only_once(rig: Rig) -> None:
    async with ScriptedUpstream((WHOLE,), (cut,)) as upstream:
        await rig.whole(rig.call(upstream))
        with pytest.raises(UpstreamClosed):
            await rig.whole(rig.call(upstream))
    assert len(upstream.heard) == 3


async def test_a_new_connection_that_dies_is_not_tried_again(rig: Rig) -> None:
    async with ScriptedUpstream((cut,)) as upstream:
        with pytest.raises(UpstreamClosed):
            await rig.whole(rig.call(upstream))
    assert len(upstream.heard) == 1


# --- nobody gets what was meant for another


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("late", [True, False])
async def test_stray_bytes_behind_an_answer_never_reach_the_next_request(rig: Rig, chunked: bool, late: bool) -> None:  # noqa: FBT001
    poison = json_answer({"answer": "poison"})

    async def answer(line: Line) -> None:
        assert line.heard is not None
        body = line.heard.body
        right = head(kind="application/json") + chunk(body) + LAST if chunked else json_answer(body)
        if late:
            await line.send(right)
            await line.send(poison)
        else:
            await line.send(right + poison)

    async with ScriptedUpstream((answer,)) as upstream:
        for number in range(300):
            _, body = await rig.whole(rig.call(upstream, json.dumps({"number": number}).encode()))
            assert json.loads(body) == {"number": number}


async def test_an_answer_that_nobody_asked_for_is_seen_before_the_loop_has_looked(rig: Rig) -> None:
    async with ScriptedUpstream((WHOLE,)) as upstream:
        for number in range(20):
            assert (await rig.whole(rig.call(upstream)))[1] == b'{"answer": 1}'
            assert upstream.connections == number + 1
            upstream.lines[-1].sock.send(json_answer({"answer": "poison"}))


async def test_a_whole_answer_that_nobody_asked_for_closes_a_resting_connection(rig: Rig) -> None:
    told = asyncio.Event()

    async def late(line: Line) -> None:
        await told.wait()
        await line.send(json_answer({"answer": "poison"}))

    async with ScriptedUpstream((WHOLE, late, silence), (WHOLE,)) as upstream:
        await rig.whole(rig.call(upstream))
        told.set()
        await eventually(lambda: upstream.left)
        assert (await rig.whole(rig.call(upstream)))[1] == b'{"answer": 1}'


@both_loops
async def test_callers_who_leave_at_the_last_byte_never_harm_another_request(rig: Rig) -> None:
    """500 rounds, 10 at once: half of them are cancelled at the very moment at which their answer is over."""
    whole = 0
    spoilt: list[bytes] = []

    async def leave_at_the_end(number: int) -> None:
        caller, outlet = rig.caller()
        answer = await rig.open(rig.call(upstream, b"%d" % number))
        task = asyncio.create_task(answer.splice(outlet, StreamTap()))
        await caller.until(b"data: %d\n\n" % number)
        caller.fin()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        answer.abandon()
        answer.abandon()

    async def stay(number: int) -> None:
        nonlocal whole
        ending, read = await rig.stream(rig.call(upstream, b"%d" % number))
        if b"data: %d\n\n" % number in read and DONE in ending.held:
            whole += 1
        else:
            spoilt.append(read)

    async def both(numbers: range) -> None:
        for number in numbers:
            await (leave_at_the_end(number) if number % 2 else stay(number))

    async with ScriptedUpstream((echo_stream,)) as upstream:
        await asyncio.gather(*(both(range(start, 500, 10)) for start in range(10)), *(both(range(start, 500, 10)) for start in range(10)))
    assert (whole, spoilt) == (500, [])


async def test_an_answer_that_is_over_cannot_be_abandoned_any_more(rig: Rig) -> None:
    async with ScriptedUpstream((echo,)) as upstream:
        first = await rig.open(rig.call(upstream, b'"first"'))
        await first.whole(100)
        second = await rig.open(rig.call(upstream, b'"second"'))
        first.abandon()
        assert await second.whole(100) == b'"second"'
    assert upstream.connections == 1


# --- what stays open


@both_loops
async def test_descriptors_return_to_where_they_began() -> None:
    async with ScriptedUpstream((WHOLE,)) as upstream:
        before = open_descriptors()
        rig = Rig()
        scripts = [
            (WHOLE,),
            (say(stream(*story("Hi"))), cut),
            (reset,),
            (say(b"nonsense\r\n\r\n"),),
            (say(head(), chunk(b"data: 1\n\n")), reset),
        ]
        for number in range(50):
            upstream.script(scripts[number % 5])
            await asyncio.gather(rig.stream(rig.call(upstream)), rig.whole(rig.call(upstream)), return_exceptions=True)
        await rig.close()
        await eventually(lambda: open_descriptors() == before)


async def test_closing_the_pool_fails_what_is_under_way(rig: Rig) -> None:
    async with ScriptedUpstream((say(head()), silence)) as upstream:
        answer = await rig.open(rig.call(upstream))
        _, outlet = rig.caller()
        task = asyncio.create_task(answer.splice(outlet, StreamTap()))
        await asyncio.sleep(0)
        rig.pool.close()
        with pytest.raises(UpstreamClosed):
            await task
        await eventually(lambda: upstream.open == 0)


async def test_an_upstream_that_does_not_listen_for_requests_is_heard_all_the_same(rig: Rig) -> None:
    """The answer comes before the request was read: it is this request's answer, and the connection can go on."""
    async with ScriptedUpstream((WHOLE, hear), hears=False) as upstream:
        assert (await rig.whole(rig.call(upstream)))[1] == b'{"answer": 1}'
