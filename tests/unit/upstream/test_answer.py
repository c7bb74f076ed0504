"""An answer belongs to whoever asked until it is over, and to nobody afterwards."""

import asyncio

import pytest

from relay.domain.errors import UpstreamClosed
from relay.wire.openai_stream import StreamTap
from tests.support.upstream import DONE, LAST, ScriptedUpstream, chunk, event, head, json_answer, say, silence, story, stream, until
from tests.support.waiting import eventually
from tests.unit.upstream.rig import Rig


async def test_a_whole_answer_lets_go_of_its_connection(rig: Rig) -> None:
    async with ScriptedUpstream((say(json_answer({})),)) as upstream:
        answer = await rig.open(rig.call(upstream))
        await answer.whole(100)
        answer.abandon()
        await asyncio.sleep(0.01)
        assert upstream.open == 1
        with pytest.raises(UpstreamClosed):
            await answer.whole(100)


async def test_a_stream_lets_go_of_its_connection_with_its_end_marker(rig: Rig) -> None:
    """The upstream has not said its last chunk yet: the connection lingers for it and then serves again."""
    told = asyncio.Event()

    async with ScriptedUpstream((say(head() + chunk(event("Hi"), DONE)), until(told), say(LAST)), (say(json_answer({})),)) as upstream:
        answer = await rig.open(rig.call(upstream))
        _, outlet = rig.caller()
        await answer.splice(outlet, StreamTap())
        answer.abandon()
        told.set()
        await asyncio.sleep(0.01)
        await rig.whole(rig.call(upstream))
    assert upstream.connections == 1


async def test_a_connection_does_not_linger_for_ever(rig: Rig) -> None:
    async with ScriptedUpstream((say(head() + chunk(event("Hi"), DONE)), silence)) as upstream:
        await rig.stream(rig.call(upstream))
        await eventually(lambda: upstream.left)


@pytest.mark.parametrize("behind", [b"0\r\n\r\nHTTP/1.1 200 OK\r\n", b"zz\r\n", b"0\r\nno trailer\r\n\r\n"])
async def test_what_is_wrong_behind_the_end_marker_only_costs_the_connection(rig: Rig, behind: bytes) -> None:
    async with ScriptedUpstream((say(head() + chunk(event("Hi"), DONE), behind), silence), (say(json_answer({})),)) as upstream:
        ending, _ = await rig.stream(rig.call(upstream))
        assert DONE in ending.held
        await eventually(lambda: upstream.left)
        await rig.whole(rig.call(upstream))


async def test_an_abandoned_answer_closes_its_connection_and_may_be_abandoned_again(rig: Rig) -> None:
    async with ScriptedUpstream((say(head()), silence)) as upstream:
        answer = await rig.open(rig.call(upstream))
        answer.abandon()
        answer.abandon()
        await eventually(lambda: upstream.left)


@pytest.mark.parametrize("is_stream", [True, False])
async def test_an_answer_whose_reader_is_cancelled_closes_its_connection(rig: Rig, is_stream: bool) -> None:  # noqa: FBT001
    async with ScriptedUpstream((say(head() + chunk(event("Hi"))), silence)) as upstream:
        answer = await rig.open(rig.call(upstream))
        _, outlet = rig.caller()
        task: asyncio.Task[object] = asyncio.create_task(answer.splice(outlet, StreamTap()) if is_stream else answer.whole(1000))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda: upstream.left)


@pytest.mark.parametrize("answer", [head(204, framing=""), head(framing="Content-Length: 0")])
async def test_a_stream_without_a_body_is_a_fault(rig: Rig, answer: bytes) -> None:
    async with ScriptedUpstream((say(answer),)) as upstream:
        with pytest.raises(UpstreamClosed):
            await rig.stream(rig.call(upstream))


async def test_the_first_token_is_timed_also_of_a_stream_that_breaks(rig: Rig) -> None:
    async with ScriptedUpstream(
        (say(stream(*story("Hi"))),), (say(head() + chunk(event("", finish=None)), chunk(event("Hi"))), silence)
    ) as upstream:
        began = rig.now()
        for _ in range(2):
            answer = await rig.open(rig.call(upstream, idle_s=0.05))
            _, outlet = rig.caller()
            assert answer.first_token_at is None
            await asyncio.gather(answer.splice(outlet, StreamTap()), return_exceptions=True)
            assert answer.first_token_at is not None
            assert began < answer.first_token_at < rig.now()
