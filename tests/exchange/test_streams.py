"""Streams through the whole relay: as they are, as soon as they come, and never whole unless they are."""

import asyncio
import json
import random
from pathlib import Path

import pytest

from relay.domain.usage import Usage
from tests.exchange.running import channel_to, running
from tests.support.caller import Reply, chat, request
from tests.support.loops import both_loops
from tests.support.upstream import (
    DONE,
    LAST,
    ScriptedUpstream,
    Step,
    chunk,
    cut,
    event,
    head,
    pause,
    reset,
    say,
    silence,
    story,
    stream,
    until,
    usage,
)

ASK = request(chat(stream=True))
ODD = [
    b": hello\r\n\r\n",
    b"event: message\nid: 1\nretry: 5\n" + event("Grüße, 世界", x_unknown={"deep": [1, None]}),
    event("data: [DONE]\n\n"),
    event("there").replace(b"\n", b"\r\n"),
    event(finish="stop"),
    event(usage=usage(11, 22), timings={"ms": 1.5}),
    DONE,
]


def error_of(reply: Reply) -> dict[str, object]:
    """The error object in a stream's last event."""
    last = reply.body.rstrip(b"\n").rpartition(b"\n\n")[2]
    found = json.loads(last.removeprefix(b"data: "))["error"]
    assert isinstance(found, dict)
    assert sorted(found) == ["code", "message", "param", "type"]
    return found


# --- as they are


@both_loops
async def test_a_stream_has_our_head_and_the_upstreams_bytes() -> None:
    set_cookie = head(200, "Set-Cookie: a=b", "X-Accel-Redirect: /secret", "X-Request-Id: theirs", "Server: theirs")
    async with ScriptedUpstream((say(set_cookie + chunk(*ODD) + LAST),)) as upstream, running(channel_to(upstream)) as relay:
        reply = await relay.ask(chat(stream=True))
        assert (reply.status, reply.is_whole, reply.body) == (200, True, b"".join(ODD))
        assert reply.headers == (
            ("Content-Type", "text/event-stream; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", "f" * 32),
            ("X-Accel-Buffering", "no"),
            ("Transfer-Encoding", "chunked"),
        )
        assert relay.ledger.settled == [("f" * 32, Usage(11, 22))]
        report = relay.observer.report
        assert (report.status, report.code, report.usage) == (200, "", Usage(11, 22))
        assert report.first_token_s is not None
        assert 0 < report.first_token_s < report.duration_s


@both_loops
async def test_two_hundred_streams_cut_anywhere_arrive_byte_for_byte_over_one_connection() -> None:
    chance = random.Random(20)  # noqa: S311 - the same cuts in every run
    text = b"".join(ODD)
    async with ScriptedUpstream((silence,)) as upstream, running(channel_to(upstream)) as relay:
        caller = await relay.caller()
        for _ in range(100):
            parts = _cuts(text, chance)
            said = chance.choice([head() + chunk(*parts) + LAST, head(framing=f"Content-Length: {len(text)}") + text])
            upstream.script((say(*_cuts(said, chance)),))
            reply = await caller.ask(ASK)
            assert reply.is_whole
            assert reply.body == text
        assert upstream.connections == 1
        assert {used for _, used in relay.ledger.settled} == {Usage(11, 22)}


def _cuts(data: bytes, chance: random.Random) -> list[bytes]:
    places = sorted(chance.sample(range(1, len(data)), chance.choice([0, 1, 4, 20])))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@both_loops
async def test_each_event_arrives_before_the_next_is_said() -> None:
    gates = [asyncio.Event() for _ in "abc"]
    steps = [step for gate, word in zip(gates, "abc", strict=True) for step in (until(gate), say(chunk(event(word))))]
    async with ScriptedUpstream((say(head()), *steps, say(chunk(DONE) + LAST))) as upstream, running(channel_to(upstream)) as relay:
        caller = await relay.caller()
        await caller.send(ASK)
        for gate, word in zip(gates, "abc", strict=True):
            gate.set()
            await caller.until(event(word))
        await caller.until(DONE)


@both_loops
async def test_the_end_arrives_only_when_it_is_settled() -> None:
    async with ScriptedUpstream((say(stream(*story("Hi"))),)) as upstream, running(channel_to(upstream)) as relay:
        relay.ledger.gate.clear()
        caller = await relay.caller()
        await caller.send(ASK)
        await caller.until(event(usage=usage(3, 1)))
        await asyncio.sleep(0.03)
        assert b"[DONE]" not in caller.unread
        assert relay.ledger.settled == []
        relay.ledger.gate.set()
        await caller.until(chunk(DONE) + LAST)
        assert relay.ledger.settled == [("f" * 32, Usage(3, 1))]


@both_loops
async def test_streams_and_whole_answers_take_turns_on_one_connection(tmp_path: Path) -> None:
    whole = json.dumps({"object": "chat.completion", "choices": []}).encode()
    async with (
        ScriptedUpstream((say(stream(*story("Hi"))),), (say(head(kind="application/json") + chunk(whole) + LAST),)) as upstream,
        running(channel_to(upstream), at=tmp_path / "relay.sock") as relay,
    ):
        caller = await relay.caller()
        for _ in range(3):
            upstream.script((say(stream(*story("Hi"))),), (say(head(kind="application/json") + chunk(whole) + LAST),))
            assert (await caller.ask(ASK)).body == b"".join(story("Hi"))
            assert (await caller.ask(request(chat()))).body == whole


@both_loops
async def test_pipelined_requests_are_answered_in_order() -> None:
    """Streams are written past the server, whole answers through it: neither overtakes the other."""
    whole = say(head(kind="application/json") + chunk(b'{"whole": 1}') + LAST)
    script = (whole,), (say(stream(*story("Hi"))),), (whole,), (say(stream(*story("there"))),)
    async with ScriptedUpstream(*script) as upstream, running(channel_to(upstream)) as relay:
        caller = await relay.caller()
        await caller.send(request(chat()) + ASK + request(chat()) + ASK)
        bodies = [(await caller.reply()).body for _ in range(4)]
        assert bodies == [b'{"whole": 1}', b"".join(story("Hi")), b'{"whole": 1}', b"".join(story("there"))]


# --- silence


async def test_a_silent_upstream_is_covered_by_pings_between_events_alone() -> None:
    rest = chunk(event("there"))
    script = (say(head(), chunk(event("Hi"))), pause(0.1), say(rest[:50]), pause(0.1), say(rest[50:], chunk(DONE) + LAST))
    async with ScriptedUpstream(script) as upstream, running(channel_to(upstream), commit_s=0.02, ping_s=0.03) as relay:
        reply = await relay.ask(chat(stream=True))
        assert reply.is_whole
        before, _, behind = reply.body.partition(event("Hi"))
        assert before == b""
        pings, _, rest = behind.partition(event("there"))
        assert pings == b": ping\n\n" * pings.count(b": ping\n\n")
        assert 2 <= pings.count(b": ping\n\n") <= 4
        assert rest == DONE


async def test_no_ping_goes_into_an_open_chunk_even_behind_a_whole_event() -> None:
    two = chunk(event("Hi") + event("there"))
    cut_at = len(two) - len(event("there")) - 2
    script = (say(head(), two[:cut_at]), pause(0.08), say(two[cut_at:] + chunk(DONE) + LAST))
    async with ScriptedUpstream(script) as upstream, running(channel_to(upstream), commit_s=0.01, ping_s=0.02) as relay:
        reply = await relay.ask(chat(stream=True))
        assert reply.is_whole
        assert reply.body == event("Hi") + event("there") + DONE


async def test_the_status_line_is_held_back_and_then_sent_with_a_ping() -> None:
    async with ScriptedUpstream((pause(0.1), say(stream(*story("Hi"))))) as upstream:
        async with running(channel_to(upstream), commit_s=0.03, ping_s=10) as relay:
            reply = await relay.ask(chat(stream=True))
        assert reply.is_whole
        assert reply.body == b": ping\n\n" + b"".join(story("Hi"))
        async with running(channel_to(upstream), commit_s=10, ping_s=0.03) as relay:
            reply = await relay.ask(chat(stream=True))
        assert reply.body == b"".join(story("Hi"))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ((pause(0.06), say(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")), "upstream_refused"),
        ((pause(0.06), cut), "upstream_closed"),
        ((silence,), "upstream_first_byte_timeout"),
        ((say(head()), silence), "upstream_idle_timeout"),
        ((say(head() + b"5\r\n"), silence), "upstream_idle_timeout"),
    ],
)
async def test_a_failure_after_the_status_line_is_an_event_and_a_cut(script: tuple[Step, ...], code: str) -> None:
    async with (
        ScriptedUpstream(script) as upstream,
        running(channel_to(upstream, first_byte_s=0.08, idle_s=0.08), commit_s=0.02, tries=1) as relay,
    ):
        reply = await relay.ask(chat(stream=True))
        assert (reply.status, reply.is_whole) == (200, False)
        assert reply.body.startswith(b": ping\n\n")
        assert error_of(reply)["code"] == code
        assert relay.observer.report.code == code


async def test_before_the_status_line_the_same_failures_keep_their_status() -> None:
    async with ScriptedUpstream((say(head()), cut)) as upstream, running(channel_to(upstream), tries=1) as relay:
        reply = await relay.ask(chat(stream=True))
        assert (reply.status, reply.code, reply.is_whole) == (502, "upstream_closed", True)
        assert relay.observer.report.status == 502


@pytest.mark.parametrize("end", [chunk(DONE) + LAST, LAST])
async def test_an_error_in_mid_stream_passes_as_it_is_and_the_stream_is_a_failure(end: bytes) -> None:
    error = b'data: {"error": {"message": "overloaded"}}\n\n'
    async with ScriptedUpstream((say(head(), chunk(event("Hi")), chunk(error), end),)) as upstream:
        async with running(channel_to(upstream)) as relay:
            reply = await relay.ask(chat(stream=True))
        assert (reply.status, reply.is_whole, reply.body) == (200, False, event("Hi") + error)
        assert relay.observer.report.code == "upstream_refused"
        assert [attempt.result for attempt in relay.observer.report.attempts] == ["upstream_refused"]


# --- never whole unless they are

BEGUN = head() + chunk(event("Hi"))
THERE = chunk(event("there"))


@both_loops
@pytest.mark.parametrize("end", [cut, reset])
@pytest.mark.parametrize(
    ("said", "is_told"),
    [
        (b"", True),
        (THERE[:3], True),
        (THERE[:60], False),
        (THERE[:-2], False),
        (chunk(event("there")[:-1]), False),
        (chunk(event("there")[:60]), False),
        (chunk(event(finish="stop")), True),
        (chunk(event(finish="stop"), event(usage=usage(1, 1))), True),
        (LAST, True),
        (chunk(event("there")[:60]) + LAST, False),
        (b"zz\r\n", True),
        (THERE[:-2] + b"xx", True),
    ],
)
async def test_a_stream_cut_anywhere_ends_without_its_last_chunk(said: bytes, is_told: bool, end: Step) -> None:  # noqa: FBT001
    script = (say(BEGUN), pause(0.005), say(*([said] if said else [])), pause(0.005), end)
    async with ScriptedUpstream(script) as upstream, running(channel_to(upstream)) as relay:
        reply = await relay.ask(chat(stream=True))
        assert (reply.status, reply.is_whole) == (200, False)
        assert reply.body.startswith(event("Hi"))
        assert b"[DONE]" not in reply.body
        assert (b'"error"' in reply.body) is is_told
        if is_told:
            assert error_of(reply)["code"] in {"upstream_closed", "upstream_protocol_error"}
        assert len(upstream.heard) == 1
        assert relay.observer.report.code


async def test_the_cut_of_a_slow_readers_stream_comes_behind_all_that_had_come() -> None:
    events = [event("x" * 900 + str(number)) for number in range(4000)]
    async with ScriptedUpstream((say(head() + chunk(*events)), cut)) as upstream, running(channel_to(upstream), send_buffer=4096) as relay:
        caller = await relay.caller(receive_buffer=4096)
        await caller.send(ASK)
        await asyncio.sleep(0.1)
        reply = await caller.reply()
        assert not reply.is_whole
        assert reply.body.startswith(b"".join(events))
        assert error_of(reply)["code"] == "upstream_closed"


async def test_a_mistake_of_ours_in_a_stream_that_has_begun_is_a_cut_and_writes_nothing_into_it(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedUpstream((say(stream(*story("Hi"))),)) as upstream, running(channel_to(upstream)) as relay:
        relay.ledger.faults = [KeyError("x")]
        caller = await relay.caller()
        reply = await caller.ask(ASK)
        assert not reply.is_whole
        assert reply.body == b"".join(story("Hi")[:-1])
        assert await caller.is_closed()
    assert [record.message for record in caplog.records] == ["unexpected failure"]


async def test_a_stream_over_http_1_0_is_refused_before_anybody_is_asked() -> None:
    async with ScriptedUpstream((silence,)) as upstream, running(channel_to(upstream)) as relay:
        caller = await relay.caller()
        reply = await caller.ask(ASK.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (reply.status, reply.code) == (505, "http_version_not_supported")
