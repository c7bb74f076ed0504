"""One connection: requests go out whole, heads are read strictly, and every deadline is kept."""

import asyncio
import socket
import time

import pytest

from relay.domain.errors import (
    TotalTimeout,
    UpstreamClosed,
    UpstreamError,
    UpstreamFirstByteTimeout,
    UpstreamProtocol,
)
from relay.ports import ClientGone
from relay.wire.http_head import MAX_HEAD_BYTES
from tests.support.loops import both_loops
from tests.support.upstream import (
    LAST,
    Line,
    ScriptedUpstream,
    Step,
    chunk,
    cut,
    forever,
    head,
    hear_head,
    json_answer,
    pause,
    reset,
    say,
    silence,
)
from tests.support.waiting import eventually
from tests.unit.upstream.rig import Recorder, Rig

ANSWER = json_answer({"answer": 1})
BIG = b"x" * (8 << 20)


# --- requests


@both_loops
async def test_a_big_request_reaches_an_upstream_that_reads_slowly(rig: Rig) -> None:
    async def read_slowly(line: Line) -> None:
        line.note(*await line.hear_head(), b"")
        received = bytearray()
        while len(received) < len(BIG):
            received += await line.receive()
            await asyncio.sleep(0)
        assert received == BIG

    async with ScriptedUpstream((read_slowly, say(ANSWER)), hears=False, receive_buffer=16 << 10) as upstream:
        for _ in range(2):
            assert (await rig.whole(rig.call(upstream, BIG)))[1] == b'{"answer": 1}'
        assert upstream.connections == 1


@both_loops
@pytest.mark.parametrize("end", [silence, cut, reset])
async def test_an_early_answer_counts_and_its_connection_does_not_serve_again(rig: Rig, end: Step) -> None:
    """An upstream may refuse a long request before it has read it, and close behind its answer."""
    refusal = say(json_answer({"error": {"message": "too long"}}, 413))
    async with ScriptedUpstream((hear_head, refusal, end), hears=False, receive_buffer=16 << 10) as upstream:
        got, body = await rig.whole(rig.call(upstream, BIG))
        assert (got.status, body) == (413, b'{"error": {"message": "too long"}}')
        await eventually(lambda: upstream.open == 0)


@both_loops
async def test_an_answer_counts_that_came_with_the_reset_of_the_connection(rig: Rig) -> None:
    """Nothing was read in between: sending fails while the answer waits to be read."""

    async def refuse_and_reset(line: Line) -> None:
        await line.send(json_answer({}, 413))
        await reset(line)

    async with ScriptedUpstream((hear_head, refuse_and_reset), hears=False, receive_buffer=16 << 10) as upstream:
        got, body = await rig.whole(rig.call(upstream, BIG))
        assert (got.status, body) == (413, b"{}")


@pytest.mark.parametrize("early", [head(kind="application/json"), head(kind="application/json") + chunk(b" " * 200_000)])
async def test_an_early_answer_does_not_stop_the_request(rig: Rig, early: bytes) -> None:
    """It begins at once, perhaps with more than is read before its body is wanted, and ends when all of the request was read."""

    async def read_on(line: Line) -> None:
        left = len(BIG)
        while left > 0:
            left -= len(await line.receive())

    script = (hear_head, say(early), pause(0.02), read_on, say(chunk(b"{}") + LAST))
    async with ScriptedUpstream(script, hears=False, receive_buffer=16 << 10) as upstream:
        answer = await rig.open(rig.call(upstream, BIG))
        await asyncio.sleep(0.01)
        assert (await answer.whole(1 << 20)).strip() == b"{}"


async def test_an_upstream_that_reads_nothing_is_left_at_the_first_byte_timeout(rig: Rig) -> None:
    async with ScriptedUpstream((pause(30),), hears=False, receive_buffer=16 << 10) as upstream:
        with pytest.raises(UpstreamFirstByteTimeout):
            await rig.whole(rig.call(upstream, BIG, first_byte_s=0.05))


# --- heads


@pytest.mark.parametrize("pieces", [1, 3, 1000])
async def test_an_answer_is_read_however_it_is_cut(rig: Rig, pieces: int) -> None:
    size = max(1, len(ANSWER) // pieces)
    packets = [ANSWER[start : start + size] for start in range(0, len(ANSWER), size)]
    async with ScriptedUpstream((say(*packets),)) as upstream:
        assert (await rig.whole(rig.call(upstream)))[1] == b'{"answer": 1}'


@pytest.mark.parametrize("end", [cut, reset])
async def test_head_body_and_end_of_the_connection_may_come_in_one_packet(rig: Rig, end: Step) -> None:
    async with ScriptedUpstream((say(ANSWER), end)) as upstream:
        assert (await rig.whole(rig.call(upstream)))[1] == b'{"answer": 1}'


async def test_interim_answers_are_skipped(rig: Rig) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with ScriptedUpstream((say(*interim, interim[0] + interim[1] + ANSWER),)) as upstream:
        for _ in range(2):
            assert (await rig.whole(rig.call(upstream)))[1] == b'{"answer": 1}'
    assert upstream.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        b"HTTP/1.1 200 OK\r\nContent Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + ANSWER,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_HEAD_BYTES,
    ],
)
async def test_what_is_not_http_is_refused_at_once(rig: Rig, answer: bytes) -> None:
    async with ScriptedUpstream((say(answer), silence)) as upstream:
        with pytest.raises(UpstreamProtocol):
            await rig.whole(rig.call(upstream))
        await eventually(lambda: upstream.open == 0)


@pytest.mark.parametrize("end", [cut, reset])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_a_connection_that_ends_before_the_head_is_closed_early(rig: Rig, said: bytes, end: Step) -> None:
    async with ScriptedUpstream((say(said) if said else end, end)) as upstream:
        with pytest.raises(UpstreamClosed):
            await rig.whole(rig.call(upstream))


# --- deadlines


@both_loops
@pytest.mark.parametrize("before", [(), (say(b"HTTP/1.1 200 OK\r\n"),), (say(b"HTTP/1.1 100 Continue\r\n\r\n"),)])
async def test_an_upstream_that_does_not_begin_to_answer_is_left_in_time(rig: Rig, before: tuple[Step, ...]) -> None:
    began = time.monotonic()
    async with ScriptedUpstream((*before, silence)) as upstream:
        with pytest.raises(UpstreamFirstByteTimeout):
            await rig.whole(rig.call(upstream, first_byte_s=0.05))
        await eventually(lambda: upstream.left)
    assert time.monotonic() - began < 0.5


async def test_a_head_that_drips_does_not_stretch_the_first_byte_timeout(rig: Rig) -> None:
    async with ScriptedUpstream((say(b"HTTP/1.1 200 OK\r\nX: "), forever(b"x", 0.005))) as upstream:
        with pytest.raises(UpstreamFirstByteTimeout):
            await rig.whole(rig.call(upstream, first_byte_s=0.05))


@pytest.mark.parametrize("said", [b"", head(kind="application/json"), head(kind="application/json", framing="Content-Length: 9") + b"{"])
async def test_the_total_timeout_ends_every_phase(rig: Rig, said: bytes) -> None:
    async with ScriptedUpstream((say(said) if said else pause(0), silence)) as upstream:
        with pytest.raises(TotalTimeout):
            await (await rig.open(rig.call(upstream), total_s=0.05)).whole(100)
        await eventually(lambda: upstream.left)


async def test_a_patient_caller_is_told_of_the_silence_before_the_head(rig: Rig) -> None:
    recorder = Recorder()
    async with ScriptedUpstream((pause(0.05), say(ANSWER))) as upstream:
        answer = await rig.open(rig.call(upstream), recorder)
        await answer.whole(100)
    quiet = [quiet_s for quiet_s, _ in recorder.told]
    assert quiet
    assert quiet == sorted(quiet)
    assert all(between for _, between in recorder.told)


async def test_a_caller_found_gone_while_he_is_told_ends_the_call(rig: Rig) -> None:
    class Gone:
        def silent(self, quiet_s: float, *, between_events: bool) -> None:
            del quiet_s, between_events
            raise ClientGone

    async with ScriptedUpstream((silence,)) as upstream:
        with pytest.raises(ClientGone):
            await rig.open(rig.call(upstream), Gone())
        await eventually(lambda: upstream.left)


# --- cancelling


@both_loops
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", head(kind="application/json") + chunk(b"{")])
async def test_cancelling_closes_the_upstream_at_once(rig: Rig, said: bytes) -> None:
    async with ScriptedUpstream((say(said) if said else pause(0), silence)) as upstream:
        task = asyncio.create_task(rig.whole(rig.call(upstream)))
        await eventually(lambda: upstream.heard)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: upstream.left, 0.5)


async def test_a_call_cancelled_between_head_and_body_is_closed_by_its_owner(rig: Rig) -> None:
    async with ScriptedUpstream((say(head()), silence)) as upstream:
        answer = await rig.open(rig.call(upstream))
        answer.abandon()
        await eventually(lambda: upstream.left)
        with pytest.raises(UpstreamClosed):
            await answer.whole(100)


# --- between head and body


async def test_what_comes_before_the_body_is_wanted_is_bounded(rig: Rig) -> None:
    async with ScriptedUpstream((say(head(kind="application/json")), forever(chunk(b" " * 65536)))) as upstream:
        answer = await rig.open(rig.call(upstream))
        line = upstream.lines[0]
        sent = -1
        while line.sent != sent:
            sent = line.sent
            assert sent < 16 << 20
            await asyncio.sleep(0.05)
        with pytest.raises(UpstreamError):
            await answer.whole(1 << 20)


async def test_a_body_parked_with_the_end_of_its_connection_is_read(rig: Rig) -> None:
    async with ScriptedUpstream((say(head(kind="application/json", framing="") + b"{}"), cut)) as upstream:
        answer = await rig.open(rig.call(upstream))
        await asyncio.sleep(0.02)
        assert await answer.whole(100) == b"{}"


def test_a_socket_that_was_reset_reads_as_closed_and_not_as_an_error() -> None:
    """What `readable` relies on: bytes that came before a reset are read before it is told."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        ours.sendall(b"unread")
        theirs.sendall(b"said")
        time.sleep(0.01)
        theirs.close()  # with bytes unread: a reset
        time.sleep(0.01)
        with pytest.raises(ConnectionError):
            ours.send(b"more")
        assert ours.recv(100) == b"said"
