"""Everything over TLS: records that are already decrypted, sessions that are resumed, ends with and without a good-bye."""

import asyncio
import random
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest

from relay.domain.errors import UpstreamClosed
from relay.upstream.connection import READ_BYTES
from relay.wire.openai_stream import StreamTap
from tests.support.loops import both_loops
from tests.support.upstream import (
    DONE,
    LAST,
    Line,
    ScriptedUpstream,
    Step,
    TlsLine,
    chunk,
    cut,
    drop,
    event,
    forever,
    head,
    hear_head,
    json_answer,
    pause,
    reset,
    say,
    silence,
    story,
    stream,
)
from tests.support.waiting import eventually
from tests.unit.upstream.rig import Authority, Rig, payload_of

WHOLE = say(json_answer({"answer": 1}))
EVENTS = [event("x" * 40 + str(number)) for number in range(3000)]
BIG = b"x" * (8 << 20)


def burst(*records: bytes) -> Step:
    """All records in one packet, as far as one takes them."""

    async def step(line: Line) -> None:
        assert isinstance(line, TlsLine)
        await line.burst(*records)

    return step


def test_a_read_takes_all_that_tls_has_decrypted(authority: Authority) -> None:
    """What `Connection.readable` relies on: after it, whatever is left of a burst is still in the kernel, where epoll sees it."""
    ours, theirs = socket.socketpair()
    client = ssl.create_default_context(cafile=authority.ca_file)
    with ours, theirs, ThreadPoolExecutor(1) as other:
        serving = other.submit(authority.server.wrap_socket, theirs, server_side=True)
        reader, writer = client.wrap_socket(ours, server_hostname="localhost"), serving.result()
        with reader, writer:
            for size in (1, 16_384, 5000):
                writer.sendall(b"x" * size)
            received = 0
            while received < 21_385:
                received += len(reader.recv(READ_BYTES))
                assert reader.pending() == 0


@both_loops
async def test_many_small_records_at_once_all_pass(rig: Rig, authority: Authority) -> None:
    records = [chunk(each) for each in [*EVENTS, DONE]]
    async with ScriptedUpstream((say(head()), burst(*records, LAST)), tls=authority.server) as upstream:
        for _ in range(2):
            ending, before = await rig.stream(rig.call(upstream, ca_file=authority.ca_file))
            assert payload_of(before.removeprefix(b"HEAD|") + ending.held) == b"".join(EVENTS) + DONE
    assert upstream.connections == 1


@both_loops
@pytest.mark.parametrize("packets", [1, 2, 9])
async def test_bursts_of_more_than_one_read_pass_with_the_head_and_without(rig: Rig, authority: Authority, packets: int) -> None:
    text = stream(*EVENTS, DONE)
    size = len(text) // packets + 1
    said = [text[start : start + size] for start in range(0, len(text), size)]
    async with ScriptedUpstream((say(*said),), tls=authority.server) as upstream:
        ending, before = await rig.stream(rig.call(upstream, ca_file=authority.ca_file))
    assert payload_of(before.removeprefix(b"HEAD|") + ending.held) == b"".join(EVENTS) + DONE


async def test_records_that_wait_behind_a_slow_caller_pass_when_he_reads_on(rig: Rig, authority: Authority) -> None:
    """The upstream says no more: nothing but the caller's reading wakes the connection."""
    events = [event("x" * 900 + str(number)) for number in range(2000)]
    caller, outlet = rig.caller(send_buffer=4096)
    async with ScriptedUpstream((burst(head(), *map(chunk, [*events, DONE]), LAST),), tls=authority.server) as upstream:
        answer = await rig.open(rig.call(upstream, ca_file=authority.ca_file))
        task = asyncio.create_task(answer.splice(outlet, StreamTap()))
        await eventually(lambda: outlet.stuck_since)
        await asyncio.sleep(0.05)
        assert not task.done()
        reading = asyncio.create_task(caller.rest())
        ending = await task
        outlet.write(ending.held)
        await outlet.flushed()
        outlet.close()
        assert payload_of((await reading).removeprefix(b"HEAD|")) == b"".join(events) + DONE


@both_loops
async def test_a_stream_is_the_same_whatever_its_records(rig: Rig, authority: Authority) -> None:
    chance = random.Random(7)  # noqa: S311 - the same cuts in every run
    text = stream(*story(*["a", "story", "of", "some", "words"]))
    for _ in range(20):
        places = sorted(chance.sample(range(1, len(text)), 12))
        records = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
        async with ScriptedUpstream((burst(*records[:6]), pause(0), burst(*records[6:])), tls=authority.server) as upstream:
            ending, before = await rig.stream(rig.call(upstream, ca_file=authority.ca_file))
        assert payload_of(before.removeprefix(b"HEAD|") + ending.held) == b"".join(story(*["a", "story", "of", "some", "words"]))


@both_loops
async def test_a_session_is_resumed_by_the_next_connection(rig: Rig, authority: Authority) -> None:
    async with ScriptedUpstream((WHOLE, cut), tls=authority.server) as upstream:
        resumed = []
        for _ in range(3):
            await rig.whole(rig.call(upstream, ca_file=authority.ca_file))
            line = upstream.lines[-1]
            assert isinstance(line, TlsLine)
            resumed.append(line.is_resumed)
            await eventually(lambda: upstream.open == 0)
    assert resumed == [False, True, True]


async def test_a_ticket_that_comes_while_a_connection_rests_is_no_answer(rig: Rig, authority: Authority) -> None:
    """With TLS 1.3 the server sends tickets after the handshake: bytes that are readable and nobody's."""
    async with ScriptedUpstream((WHOLE,), tls=authority.server) as upstream:
        for _ in range(5):
            await rig.whole(rig.call(upstream, ca_file=authority.ca_file))
    assert upstream.connections == 1


@both_loops
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_of_tls_are_spoken_and_kept_alive(rig: Rig, authority: Authority, version: ssl.TLSVersion) -> None:
    authority.server.maximum_version = version
    try:
        async with ScriptedUpstream((WHOLE,), tls=authority.server) as upstream:
            for _ in range(3):
                assert (await rig.whole(rig.call(upstream, ca_file=authority.ca_file)))[1] == b'{"answer": 1}'
            assert upstream.connections == 1
    finally:
        authority.server.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED


async def test_stray_records_behind_an_answer_never_reach_the_next_request(rig: Rig, authority: Authority) -> None:
    poison = burst(json_answer({"answer": 1}), json_answer({"answer": "poison"}))
    async with ScriptedUpstream((poison,), tls=authority.server) as upstream:
        for _ in range(30):
            assert (await rig.whole(rig.call(upstream, ca_file=authority.ca_file)))[1] == b'{"answer": 1}'


@pytest.mark.parametrize("end", [cut, drop, reset])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", head(), head() + chunk(event("Hi")), head() + chunk(event("Hi"))[:20]])
async def test_an_early_end_is_never_taken_for_a_whole_answer(rig: Rig, authority: Authority, said: bytes, end: Step) -> None:
    async with ScriptedUpstream((say(said) if said else pause(0), end), tls=authority.server) as upstream:
        with pytest.raises(UpstreamClosed):
            await rig.stream(rig.call(upstream, ca_file=authority.ca_file))


@pytest.mark.parametrize(("end", "is_whole"), [(cut, True), (drop, False)])
async def test_a_body_that_ends_with_the_connection_must_end_with_a_word_of_tls(
    rig: Rig, authority: Authority, end: Step, *, is_whole: bool
) -> None:
    """Anybody on the way can cut a connection."""
    async with ScriptedUpstream((say(head(kind="application/json", framing="") + b"{}"), end), tls=authority.server) as upstream:
        call = rig.call(upstream, ca_file=authority.ca_file)
        if is_whole:
            assert (await rig.whole(call))[1] == b"{}"
        else:
            with pytest.raises(UpstreamClosed):
                await rig.whole(call)


@both_loops
async def test_a_stale_connection_is_replaced(rig: Rig, authority: Authority) -> None:
    async with ScriptedUpstream((WHOLE,), (drop,), (WHOLE,), tls=authority.server) as upstream:
        for _ in range(2):
            assert (await rig.whole(rig.call(upstream, ca_file=authority.ca_file)))[1] == b'{"answer": 1}'
    assert [heard.connection for heard in upstream.heard] == [1, 1, 2]


@both_loops
async def test_a_big_request_is_sent_whole(rig: Rig, authority: Authority) -> None:
    async with ScriptedUpstream((WHOLE,), tls=authority.server, receive_buffer=16 << 10) as upstream:
        assert (await rig.whole(rig.call(upstream, BIG, ca_file=authority.ca_file)))[1] == b'{"answer": 1}'
    assert upstream.heard[0].body == BIG


async def test_an_early_answer_to_a_big_request_counts(rig: Rig, authority: Authority) -> None:
    refusal = say(json_answer({}, 413))
    async with ScriptedUpstream((hear_head, refusal, silence), tls=authority.server, hears=False, receive_buffer=16 << 10) as upstream:
        assert (await rig.whole(rig.call(upstream, BIG, ca_file=authority.ca_file)))[0].status == 413
        await eventually(lambda: upstream.open == 0)


@both_loops
async def test_cancelling_closes_the_upstream_at_once(rig: Rig, authority: Authority) -> None:
    script = (say(head() + chunk(event("Hi"))), forever(chunk(event("Hi")), 0.005))
    async with ScriptedUpstream(script, tls=authority.server) as upstream:
        task = asyncio.create_task(rig.stream(rig.call(upstream, ca_file=authority.ca_file)))
        await eventually(lambda: upstream.heard)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda: upstream.left, 0.5)
