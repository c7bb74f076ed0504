"""Whole answers: as long as their framing says, and no longer than the limit."""

import asyncio

import pytest

from relay.domain.errors import UpstreamClosed, UpstreamIdleTimeout, UpstreamProtocol
from tests.support.upstream import LAST, ScriptedUpstream, Step, chunk, cut, forever, head, pause, reset, say, silence
from tests.support.waiting import eventually
from tests.unit.upstream.rig import Recorder, Rig

BODY = b'{"text": "' + bytes(range(32, 127)).replace(b'"', b"").replace(b"\\", b"") * 2000 + b'"}'
LENGTH = head(kind="application/json", framing=f"Content-Length: {len(BODY)}")
CHUNKED = head(kind="application/json")
CLOSE = head(kind="application/json", framing="")


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [777, 65536, 1 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked", "chunked-with-trailers", "close"])
async def test_a_body_is_collected_in_every_framing_and_however_it_is_cut(rig: Rig, framing: str, size: int) -> None:
    chunks = chunk(*pieces(BODY, 999))
    said = {
        "length": (say(*pieces(LENGTH + BODY, size)),),
        "chunked": (say(*pieces(CHUNKED + chunks + LAST, size)),),
        "chunked-with-trailers": (say(*pieces(CHUNKED + chunks + b"0;last=1\r\nX-Sum: 1\r\n\r\n", size)),),
        "close": (say(*pieces(CLOSE + BODY, size)), cut),
    }
    async with ScriptedUpstream(said[framing]) as upstream:
        for _ in range(2):
            assert (await rig.whole(rig.call(upstream)))[1] == BODY
    assert upstream.connections == (2 if framing == "close" else 1)


@pytest.mark.parametrize("answer", [head(204, framing=""), head(304, framing=""), head(framing="Content-Length: 0"), head() + LAST])
async def test_an_empty_body_is_empty_and_its_connection_serves_again(rig: Rig, answer: bytes) -> None:
    async with ScriptedUpstream((say(answer),)) as upstream:
        for _ in range(2):
            assert (await rig.whole(rig.call(upstream)))[1] == b""
    assert upstream.connections == 1


@pytest.mark.parametrize("end", [cut, reset])
@pytest.mark.parametrize("said", [LENGTH, LENGTH + BODY[:-1], CHUNKED, CHUNKED + chunk(BODY), CHUNKED + chunk(BODY)[:-2], CHUNKED + b"ff"])
async def test_a_body_that_is_cut_is_never_taken_for_a_whole_one(rig: Rig, said: bytes, end: Step) -> None:
    async with ScriptedUpstream((say(said), end)) as upstream:
        with pytest.raises(UpstreamClosed):
            await rig.whole(rig.call(upstream))


async def test_a_body_that_should_end_with_the_connection_is_not_ended_by_a_reset(rig: Rig) -> None:
    async with ScriptedUpstream((say(CLOSE + BODY), pause(0.02), reset)) as upstream:
        with pytest.raises(UpstreamClosed):
            await rig.whole(rig.call(upstream))


@pytest.mark.parametrize(
    "said",
    [
        b"zz\r\n{}\r\n",
        b"2\r\n{}xx",
        b"2\n{}\n0\n\r\n",
        b"-2\r\n{}\r\n",
        b"0x2\r\n{}\r\n",
        b"f" * 2000,
        b"2;" + b"x" * 2000,
        b"fffffffffff\r\n",
        b"\r\n",
    ],
)
async def test_broken_chunks_are_a_fault_of_the_upstream(rig: Rig, said: bytes) -> None:
    async with ScriptedUpstream((say(CHUNKED + said), silence)) as upstream:
        with pytest.raises(UpstreamProtocol):
            await rig.whole(rig.call(upstream))
        await eventually(lambda: upstream.open == 0)


@pytest.mark.parametrize("said", [(say(CHUNKED), forever(chunk(b" " * 9000))), (say(CLOSE), forever(b" " * 9000))])
async def test_an_endless_body_is_cut_at_the_limit(rig: Rig, said: tuple[Step, ...]) -> None:
    async with ScriptedUpstream(said) as upstream:
        with pytest.raises(UpstreamProtocol):
            await rig.whole(rig.call(upstream), limit=1 << 20)
        assert upstream.lines[0].sent < 16 << 20
        await eventually(lambda: upstream.left)


async def test_a_body_of_just_the_limit_is_taken(rig: Rig) -> None:
    async with ScriptedUpstream((say(LENGTH + BODY),)) as upstream:
        assert (await rig.whole(rig.call(upstream), limit=len(BODY)))[1] == BODY
        with pytest.raises(UpstreamProtocol):
            await rig.whole(rig.call(upstream), limit=len(BODY) - 1)


@pytest.mark.parametrize("said", [LENGTH + BODY[:10], CHUNKED + chunk(b"{")])
async def test_a_silent_body_is_left_at_the_idle_timeout(rig: Rig, said: bytes) -> None:
    async with ScriptedUpstream((say(said), silence)) as upstream:
        with pytest.raises(UpstreamIdleTimeout):
            await rig.whole(rig.call(upstream, idle_s=0.05))
        await eventually(lambda: upstream.left)


async def test_a_body_that_comes_slowly_is_waited_for_and_the_caller_told(rig: Rig) -> None:
    recorder = Recorder()
    steps = [step for piece in pieces(BODY, len(BODY) // 4) for step in (pause(0.04), say(piece))]
    async with ScriptedUpstream((say(LENGTH), *steps)) as upstream:
        answer = await rig.open(rig.call(upstream, idle_s=0.1), recorder)
        assert await answer.whole(1 << 20) == BODY
    assert recorder.told


async def test_reading_a_body_that_is_cancelled_closes_the_upstream(rig: Rig) -> None:
    async with ScriptedUpstream((say(LENGTH + BODY[:10]), silence)) as upstream:
        answer = await rig.open(rig.call(upstream))
        task = asyncio.create_task(answer.whole(1 << 20))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda: upstream.left)
