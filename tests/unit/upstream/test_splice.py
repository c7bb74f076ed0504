"""Streams pass as they are, whatever they are cut into; their end marker is held; what is cut never looks whole."""

import asyncio
import json
import random

import pytest

from relay.domain.errors import TotalTimeout, UpstreamClosed, UpstreamIdleTimeout, UpstreamProtocol, UpstreamRefused
from relay.domain.usage import Usage
from relay.wire.openai_stream import StreamTap
from tests.support.loops import both_loops
from tests.support.upstream import (
    DONE,
    LAST,
    ScriptedUpstream,
    Step,
    chunk,
    cut,
    event,
    forever,
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
from tests.support.waiting import eventually
from tests.unit.upstream.rig import Recorder, Rig, payload_of, written

CLOSE = head(framing="")


def odd_story(chance: random.Random) -> list[bytes]:
    """Events with all that a relay could trip over: unknown fields, comments, three kinds of line end, markers in the text."""
    end = chance.choice([b"\n", b"\r\n"])
    events = [
        b": a comment",
        b"event: message",
        b"id: 7",
        b"retry: 10",
        b"",
        event("data: [DONE]\n\n", x_unknown={"deep": [1, None]}).strip(),
        b"",
        b"data:" + event('"usage": {"prompt_tokens": 9}').strip().removeprefix(b"data: "),
        b"",
        event("Grüße, 世界 \U0001f600").strip(),
        b"",
        event(chance.randbytes(chance.randrange(400)).hex()).strip(),
        b"",
        event(finish="stop").strip(),
        b"",
        event(usage=usage(11, 22), timings={"ms": 1.5}).strip(),
        b"",
        b": another comment",
        b"data: [DONE]",
        b"",
    ]
    return [line + end for line in events]


def cuts(data: bytes, chance: random.Random) -> list[bytes]:
    """Cut anywhere: into a few pieces, into many, or not at all."""
    places = sorted(chance.sample(range(1, len(data)), chance.choice([0, 1, 3, 10, 40])))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


# --- as it is


@both_loops
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
async def test_a_stream_passes_byte_for_byte_whatever_it_is_cut_into(rig: Rig, framing: str) -> None:
    chance = random.Random(framing)  # noqa: S311 - the same cuts in every run
    for _ in range(70):
        text = b"".join(odd_story(chance))
        if framing == "chunked":
            chunks = [b"%x%b\r\n%b\r\n" % (len(part), chance.choice([b"", b"", b";x=y"]), part) for part in cuts(text, chance)]
            said = head() + b"".join(chunks) + chance.choice([LAST, b"0\r\nX-Sum: 1\r\n\r\n"])
        else:
            said = (head(framing=f"Content-Length: {len(text)}") if framing == "length" else CLOSE) + text
        tap = StreamTap()
        async with ScriptedUpstream((say(*cuts(said, chance)), cut if framing == "close" else silence)) as upstream:
            ending, before = await rig.stream(rig.call(upstream), tap)
        assert before.startswith(b"HEAD|")
        assert payload_of(before.removeprefix(b"HEAD|") + ending.held) == text
        assert not before.rstrip().endswith(b"[DONE]")
        assert tap.usage() == Usage(11, 22)


async def test_the_usual_read_is_written_untouched_with_its_framing(rig: Rig) -> None:
    chunks = [chunk(part) for part in story("Hel", "lo")]
    async with ScriptedUpstream((say(head(), *chunks, LAST),)) as upstream:
        ending, before = await rig.stream(rig.call(upstream))
    assert before + ending.held == b"HEAD|" + b"".join(chunks)


@both_loops
async def test_bytes_leave_as_they_come(rig: Rig) -> None:
    """Each event is with the caller before the upstream says the next one."""
    gates = [asyncio.Event() for _ in range(3)]
    steps = [step for gate, word in zip(gates, "abc", strict=True) for step in (until(gate), say(chunk(event(word))))]
    async with ScriptedUpstream((say(head()), *steps, say(chunk(DONE) + LAST))) as upstream:
        caller, outlet = rig.caller()
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), outlet))
        for gate, word in zip(gates, "abc", strict=True):
            gate.set()
            assert await caller.until(event(word).strip())
        await task


# --- the end marker


@pytest.mark.parametrize(
    ("before", "marker"),
    [
        ([chunk(event("Hi"))], [chunk(DONE)]),
        ([], [chunk(event("Hi") + DONE)]),
        ([chunk(event("Hi"))], [chunk(b"data: [DONE]"), chunk(b"\n\n")]),
        ([chunk(event("Hi"))], [chunk(b"data: [DONE]\n"), chunk(b"\n")]),
        ([chunk(event("Hi"))], [chunk(DONE)[:-1], chunk(DONE)[-1:]]),
        ([chunk(event("Hi"))], [chunk(DONE)[:9], chunk(DONE)[9:]]),
        ([chunk(event("Hi"))], [chunk(DONE)[:14], chunk(DONE)[14:16], chunk(DONE)[16:]]),
        ([chunk(event("Hi"))], [chunk(b"data: [DONE]\r\n\r\n")]),
    ],
)
async def test_the_end_marker_is_held_whole(rig: Rig, before: list[bytes], marker: list[bytes]) -> None:
    async with ScriptedUpstream((say(head(), *before, *marker), pause(0.01), say(LAST))) as upstream:
        ending, passed = await rig.stream(rig.call(upstream))
    assert b"[DONE]" not in passed
    assert passed + ending.held == b"HEAD|" + b"".join(before + marker)


@pytest.mark.parametrize("end", [say(LAST), cut])
async def test_an_end_marker_without_its_empty_line_is_the_end_all_the_same(rig: Rig, end: Step) -> None:
    async with ScriptedUpstream((say(head() + chunk(event("Hi")), chunk(b"data: [DONE]")), end)) as upstream:
        ending, _ = await rig.stream(rig.call(upstream))
    assert ending.held == b"data: [DONE]\r\n"


@pytest.mark.parametrize("head_", [CLOSE, head(framing="Content-Length: 1000")])
async def test_an_end_marker_without_chunks_is_held_whole_as_well(rig: Rig, head_: bytes) -> None:
    async with ScriptedUpstream((say(head_ + event("Hi") + b"data: [DONE]", b"\n", b"\n"), silence)) as upstream:
        ending, passed = await rig.stream(rig.call(upstream))
        assert passed == b"HEAD|" + chunk(event("Hi"))
        assert ending.held == chunk(DONE)
        await eventually(lambda: upstream.open == 0)


@pytest.mark.parametrize("last", [event(finish="stop"), event(finish="stop") + event(usage=usage(1, 2))])
async def test_a_stream_without_an_end_marker_is_whole_if_the_model_had_finished(rig: Rig, last: bytes) -> None:
    for script in ((say(stream(event("Hi"), last)),), (say(CLOSE + event("Hi") + last), cut)):
        async with ScriptedUpstream(script) as upstream:
            ending, passed = await rig.stream(rig.call(upstream))
            assert ending.held == b""
            assert payload_of(passed.removeprefix(b"HEAD|")) == event("Hi") + last


async def test_what_never_ends_behind_an_end_marker_is_bounded(rig: Rig) -> None:
    async with ScriptedUpstream((say(head() + chunk(event("Hi") + b"data: [DONE]")), forever(chunk(b"x" * 9000)))) as upstream:
        _, outlet = rig.caller()
        assert isinstance(await rig.splice(upstream, StreamTap(), outlet), UpstreamProtocol)
        assert upstream.lines[0].sent < 16 << 20


# --- what is cut

BEGUN = head() + chunk(event("Hi"))
CHUNK = chunk(event("there"))


@pytest.mark.parametrize("end", [cut, reset])
@pytest.mark.parametrize(
    ("said", "between"),
    [
        (BEGUN, True),
        (BEGUN + CHUNK[:2], True),
        (BEGUN + CHUNK[:30], False),
        (BEGUN + CHUNK[:-2], False),
        (BEGUN + CHUNK[:-1], False),
        (BEGUN + chunk(event("there")[:-1]), False),
        (BEGUN + chunk(event("there")[:20]), False),
        (BEGUN + chunk(event(finish="stop")), True),
        (BEGUN + chunk(DONE)[:7], False),
        (BEGUN + chunk(b"data: [DON"), False),
    ],
)
async def test_a_cut_stream_is_never_whole_and_its_reader_knows_where_it_was_cut(rig: Rig, said: bytes, between: bool, end: Step) -> None:  # noqa: FBT001
    tap = StreamTap()
    _, outlet = rig.caller()
    async with ScriptedUpstream((say(said), pause(0.01), end)) as upstream:
        assert isinstance(await rig.splice(upstream, tap, outlet), UpstreamClosed)
    assert tap.between_events is between


@pytest.mark.parametrize("usages", [None, usage(3, 1)])
async def test_a_clean_end_before_the_model_had_finished_is_a_cut(rig: Rig, usages: dict[str, int] | None) -> None:
    """Also where each event reports usage, as some providers do."""
    text = event("Hi").replace(b'"usage": null', b'"usage": ' + json.dumps(usages).encode())
    for script in ((say(stream(text)),), (say(CLOSE + text), cut), (say(head(framing=f"Content-Length: {len(text)}") + text),)):
        async with ScriptedUpstream(script) as upstream:
            _, outlet = rig.caller()
            assert isinstance(await rig.splice(upstream, StreamTap(), outlet), UpstreamClosed)


async def test_a_reset_does_not_end_a_stream_that_ends_with_its_connection(rig: Rig) -> None:
    async with ScriptedUpstream((say(CLOSE + event("Hi") + event(finish="stop")), pause(0.01), reset)) as upstream:
        _, outlet = rig.caller()
        assert isinstance(await rig.splice(upstream, StreamTap(), outlet), UpstreamClosed)


@pytest.mark.parametrize("behind", [b"zz\r\n", b"5\r\nhelloXX", b"2;" + b"x" * 2000 + b"\r\nhi\r\n"])
async def test_broken_chunks_end_a_stream(rig: Rig, behind: bytes) -> None:
    async with ScriptedUpstream((say(BEGUN, behind), silence)) as upstream:
        caller, outlet = rig.caller()
        assert isinstance(await rig.splice(upstream, StreamTap(), outlet), UpstreamProtocol)
        assert await written(caller, outlet) == b"HEAD|" + chunk(event("Hi"))
        await eventually(lambda: upstream.open == 0)


async def test_an_endless_line_is_cut_and_bounded(rig: Rig) -> None:
    async with ScriptedUpstream((say(BEGUN), forever(chunk(b"x" * 60000)))) as upstream:
        caller, outlet = rig.caller()
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), outlet))
        reading = asyncio.create_task(caller.rest())
        assert isinstance(await task, UpstreamProtocol)
        outlet.close()
        assert len(await reading) < 5 << 20
        await eventually(lambda: upstream.open == 0)


@pytest.mark.parametrize("limit", ["idle_s", "total_s"])
async def test_a_deadline_inside_a_chunk_is_known_to_be_inside_one(rig: Rig, limit: str) -> None:
    """The event in it is whole, but its chunk is not: nothing may be written behind it."""
    tap = StreamTap()
    _, outlet = rig.caller()
    async with ScriptedUpstream((say(BEGUN, chunk(event("a") + event("b"))[: -len(event("b")) - 2]), silence)) as upstream:
        fault = await rig.splice(upstream, tap, outlet, **{limit: 0.05})
        assert isinstance(fault, UpstreamIdleTimeout if limit == "idle_s" else TotalTimeout)
        await eventually(lambda: upstream.left)
    assert not tap.between_events


# --- before the first payload


@pytest.mark.parametrize(
    "first", [b'data: {"error": {"message": "overloaded"}}\n\n', b'event: error\ndata: {"error": "x"}\n\n', b'{"error": 1}', b"<html>"]
)
@pytest.mark.parametrize("framed", [True, False])
async def test_a_refusal_in_place_of_a_stream_writes_nothing(rig: Rig, first: bytes, framed: bool) -> None:  # noqa: FBT001
    script = say(head() + chunk(first, DONE) + LAST) if framed else say(CLOSE + first)
    async with ScriptedUpstream((script, cut)) as upstream:
        caller, outlet = rig.caller()
        tap = StreamTap()
        assert isinstance(await rig.splice(upstream, tap, outlet), UpstreamRefused)
        assert tap.untouched
        assert tap.between_events
        assert await written(caller, outlet) == b""


async def test_a_first_size_line_that_comes_alone_leaves_with_its_payload(rig: Rig) -> None:
    whole = chunk(event("Hi"))
    line, payload = whole[: whole.index(b"{") - 6], whole[whole.index(b"{") - 6 :]
    async with ScriptedUpstream((say(head()), say(line[:1], line[1:], payload[:9], payload[9:], chunk(DONE) + LAST))) as upstream:
        ending, before = await rig.stream(rig.call(upstream))
    assert before + ending.held == b"HEAD|" + whole + chunk(DONE)


REFUSAL = b'data: {"error": {"message": "overloaded"}}\n\n'


@pytest.mark.parametrize(
    "parts", [[b": ping\n\n", REFUSAL], [REFUSAL[:11], REFUSAL[11:]], [b": ping\n", b"event: error\n", *(b"%c" % byte for byte in REFUSAL)]]
)
@pytest.mark.parametrize("framed", [True, False])
async def test_a_refusal_behind_comments_or_in_pieces_writes_nothing(rig: Rig, parts: list[bytes], framed: bool) -> None:  # noqa: FBT001
    said = [head(), *map(chunk, parts)] if framed else [CLOSE, *parts]
    async with ScriptedUpstream((say(*said), cut)) as upstream:
        caller, outlet = rig.caller()
        tap = StreamTap()
        assert isinstance(await rig.splice(upstream, tap, outlet), UpstreamRefused)
        assert tap.untouched
        assert await written(caller, outlet) == b""


@pytest.mark.parametrize("marker", [DONE, b": ping\n\n" + DONE, b"data: [DONE]"])
@pytest.mark.parametrize("framed", [True, False])
async def test_an_end_without_any_event_is_a_refusal(rig: Rig, marker: bytes, framed: bool) -> None:  # noqa: FBT001
    async with ScriptedUpstream((say(head() + chunk(marker) + LAST if framed else CLOSE + marker), cut)) as upstream:
        caller, outlet = rig.caller()
        tap = StreamTap()
        assert isinstance(await rig.splice(upstream, tap, outlet), UpstreamRefused)
        assert tap.untouched
        assert await written(caller, outlet) == b""


async def test_comments_alone_are_held_back_while_the_caller_is_told_of_a_growing_silence(rig: Rig) -> None:
    recorder = Recorder()
    async with ScriptedUpstream((say(head()), forever(chunk(b": ping\n\n"), 0.002))) as upstream:
        caller, outlet = rig.caller()
        answer = await rig.open(rig.call(upstream), recorder, total_s=0.1)
        with pytest.raises(TotalTimeout):
            await answer.splice(outlet, StreamTap())
        assert await written(caller, outlet) == b""
    assert recorder.told[-1][0] > 0.05
    assert all(between for _, between in recorder.told)


@pytest.mark.parametrize("framed", [True, False])
async def test_what_is_held_before_the_first_event_is_bounded(rig: Rig, framed: bool) -> None:  # noqa: FBT001
    comments = b": " + b"x" * 1000 + b"\n\n"
    said = [head(), *[chunk(comments)] * 80] if framed else [CLOSE, comments * 80]
    async with ScriptedUpstream((say(*said), silence)) as upstream:
        caller, outlet = rig.caller()
        task = asyncio.create_task(rig.splice(upstream, StreamTap(), outlet))
        await caller.until(comments)
        task.cancel()


@pytest.mark.parametrize("end", [DONE, b""])
@pytest.mark.parametrize("framed", [True, False])
async def test_an_error_in_mid_stream_passes_and_is_a_failure_at_the_end(rig: Rig, end: bytes, framed: bool) -> None:  # noqa: FBT001
    parts = [event("Hi"), REFUSAL, *([end] if end else [])]
    said = [head(), *map(chunk, parts), LAST] if framed else [CLOSE, *parts]
    async with ScriptedUpstream((say(*said), cut)) as upstream:
        caller, outlet = rig.caller()
        tap = StreamTap()
        assert isinstance(await rig.splice(upstream, tap, outlet), UpstreamRefused)
        assert tap.failed
        passed = await written(caller, outlet)
    assert passed.startswith(b"HEAD|" + chunk(event("Hi"), REFUSAL))
    assert b"[DONE]" not in passed


@pytest.mark.parametrize("said", [(say(head() + LAST),), (say(head() + b"5\r\n"), cut), (say(CLOSE), cut), (say(head()), reset)])
async def test_a_stream_without_a_word_writes_nothing(rig: Rig, said: tuple[Step, ...]) -> None:
    async with ScriptedUpstream(said) as upstream:
        caller, outlet = rig.caller()
        tap = StreamTap()
        assert isinstance(await rig.splice(upstream, tap, outlet), UpstreamClosed)
        assert tap.untouched
        assert tap.between_events
        assert await written(caller, outlet) == b""
