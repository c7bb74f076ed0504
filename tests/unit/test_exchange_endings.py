"""How a walk ends that does not end well: streams that break, callers who leave, silence, and mistakes of our own."""

import asyncio
import json
from collections.abc import Callable

import pytest

from relay.domain.errors import (
    ServiceError,
    UpstreamClosed,
    UpstreamRateLimited,
)
from relay.domain.usage import Usage
from relay.exchange import PING
from relay.ports import ClientGone, Patience, Streamed
from relay.wire.chunks import LAST_CHUNK
from tests.support.ports import AnswerFake, head_of
from tests.support.upstream import DONE, chunk, event, story, usage
from tests.support.walk import HEAD, SSE, Walk, streamed, whole

# --- a stream that breaks


async def test_a_stream_that_breaks_says_so_and_has_no_end() -> None:
    walk = Walk(streamed(event("Hi"), fault=UpstreamClosed("The upstream closed."), first_token_at=1001.0))
    assert await walk.run(stream=True) == Streamed(keep_alive=False)
    text = walk.outlet.text
    assert text.startswith(HEAD + chunk(event("Hi")))
    error = json.loads(text.removeprefix(HEAD + chunk(event("Hi"))).split(b"data: ")[1].split(b"\n\n")[0])
    assert error == {"error": {"message": "The upstream closed.", "type": "upstream_error", "param": None, "code": "upstream_closed"}}
    assert b"[DONE]" not in text
    assert not text.endswith(LAST_CHUNK)
    assert walk.told == (200, "upstream_closed", ["upstream_closed"], "")
    assert walk.observer.report.first_token_s == 1
    assert len(walk.upstream.calls) == 1


async def test_nothing_is_said_inside_an_event() -> None:
    walk = Walk(streamed(event("Hi")[:-1], fault=UpstreamClosed("x")))
    assert await walk.run(stream=True) == Streamed(keep_alive=False)
    assert walk.outlet.text == HEAD + chunk(event("Hi")[:-1])
    assert walk.journal[-4:] == ["write", "flushed", "settle", "ended"]


async def test_the_usage_of_a_stream_that_breaks_is_settled() -> None:
    walk = Walk(streamed(event("Hi"), event(usage=usage(5, 6)), fault=UpstreamClosed("x")))
    await walk.run(stream=True)
    assert walk.settled() == Usage(5, 6)


async def test_a_stream_that_breaks_before_its_first_word_is_tried_elsewhere() -> None:
    walk = Walk(streamed(fault=UpstreamClosed("x")), streamed(event("Hi")))
    assert await walk.run(stream=True) == Streamed(keep_alive=True)
    assert walk.told == (200, "", ["upstream_closed", "ok"], "")


async def test_streams_that_all_break_before_their_first_word_are_an_honest_502() -> None:
    walk = Walk(*(streamed(fault=UpstreamClosed("x")) for _ in range(3)))
    with pytest.raises(UpstreamClosed):
        await walk.run(stream=True)
    assert walk.outlet.text == b""
    assert walk.told == (502, "upstream_closed", ["upstream_closed"] * 3, "")


# --- waiting


def silent(walk: Walk, quiet_s: float, *, between: bool = True) -> Callable[[Patience], None]:
    """Let time pass and tell of the silence."""

    def pass_time(patience: Patience) -> None:
        walk.clock.now = 1000.0 + quiet_s
        patience.silent(quiet_s, between_events=between)

    return pass_time


async def test_the_head_of_a_stream_is_held_back_for_a_while_then_it_leaves_with_a_ping() -> None:
    walk = Walk()
    checks: list[bytes] = []
    walk.upstream.outcomes = [
        silent(walk, 9.9),
        lambda _: checks.append(walk.outlet.text),
        silent(walk, 10.1),
        lambda _: checks.append(walk.outlet.text),
        silent(walk, 25),
        lambda _: checks.append(walk.outlet.text),
        silent(walk, 25.2),
        streamed(event("Hi")),
    ]
    await walk.run(stream=True)
    assert checks == [b"", HEAD + PING, HEAD + PING]
    assert walk.outlet.text == HEAD + PING + PING + chunk(event("Hi")) + chunk(DONE) + LAST_CHUNK


async def test_no_ping_goes_inside_an_event() -> None:
    walk = Walk()
    walk.upstream.outcomes = [silent(walk, 11), silent(walk, 99, between=False), streamed(event("Hi"))]
    await walk.run(stream=True)
    assert walk.outlet.text.count(PING) == 1


async def test_pings_start_anew_with_each_silence() -> None:
    walk = Walk()
    walk.upstream.outcomes = [
        silent(walk, 11),
        *(silent(walk, quiet_s) for quiet_s in (1, 14, 16, 29, 31, 2, 14, 15.5)),
        streamed(event("Hi")),
    ]
    await walk.run(stream=True)
    assert walk.outlet.text.count(PING) == 4


async def test_another_channel_can_still_be_tried_after_the_status_line() -> None:
    walk = Walk()
    walk.upstream.outcomes = [silent(walk, 11), UpstreamClosed("x"), streamed(event("Hi"))]
    assert await walk.run(stream=True) == Streamed(keep_alive=True)
    assert walk.outlet.text == HEAD + PING + chunk(event("Hi")) + chunk(DONE) + LAST_CHUNK


async def test_a_failure_after_the_status_line_is_told_in_the_stream() -> None:
    walk = Walk()
    walk.upstream.outcomes = [silent(walk, 11), *(UpstreamRateLimited("x", retry_after_s=3) for _ in range(3))]
    assert await walk.run(stream=True) == Streamed(keep_alive=False)
    assert walk.outlet.text.startswith(HEAD + PING)
    assert b'"code":"upstream_rate_limited"' in walk.outlet.text
    assert walk.told == (200, "upstream_rate_limited", ["upstream_rate_limited"] * 3, "")


async def test_a_caller_who_does_not_stream_is_not_kept_alive() -> None:
    walk = Walk(whole())
    await walk.run()
    assert walk.upstream.outlets == []


# --- callers who leave


@pytest.mark.parametrize("stream", [True, False])
async def test_a_caller_who_leaves_before_the_head_is_told_as_such_and_settled(stream: bool) -> None:  # noqa: FBT001
    walk = Walk(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await walk.run(stream=stream)
    assert walk.told == (0, "client_closed", ["cancelled"], "head")
    assert walk.settled() is None
    assert walk.observer.open_streams == 0


async def test_a_caller_who_leaves_a_stream_is_told_as_such_and_pays_what_is_known() -> None:
    answer = streamed(event("Hi"), event(usage=usage(5, 6)), fault=ClientGone(), first_token_at=1002.0)
    walk = Walk(answer)
    with pytest.raises(ClientGone):
        await walk.run(stream=True)
    assert walk.told == (0, "client_closed", ["cancelled"], "stream")
    assert walk.settled() == Usage(5, 6)
    assert walk.observer.report.first_token_s == 2
    assert answer.is_abandoned
    assert not walk.outlet.is_open


async def test_a_caller_who_takes_nothing_is_told_as_such() -> None:
    walk = Walk(streamed(event("Hi"), fault=ClientGone("send_timeout")))
    with pytest.raises(ClientGone):
        await walk.run(stream=True)
    assert walk.told == (0, "client_send_timeout", ["cancelled"], "stream")


@pytest.mark.parametrize("chunks", [(), (chunk(event("Hi")),)], ids=["whole", "stream"])
async def test_a_cancelled_exchange_abandons_its_upstream_and_settles(chunks: tuple[bytes, ...]) -> None:
    answer = AnswerFake(head_of(kind=SSE if chunks else "application/json"), chunks=chunks, forever=True)
    walk = Walk(answer)
    task = asyncio.create_task(walk.run(stream=bool(chunks)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answer.is_abandoned
    assert walk.settled() is None
    assert walk.told == (0, "client_closed", ["cancelled"], "stream" if chunks else "head")


async def test_a_caller_who_leaves_while_the_end_is_being_settled_is_settled_once() -> None:
    walk = Walk(streamed(*story("Hi")[:-1]))
    walk.ledger.gate.clear()
    task = asyncio.create_task(walk.run(stream=True))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    walk.ledger.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert walk.settled() == Usage(3, 1)
    assert b"[DONE]" not in walk.outlet.text
    assert walk.told[3] == "stream"


async def test_a_caller_found_gone_when_the_break_is_told_has_left() -> None:
    answer = streamed(event("Hi"), fault=UpstreamClosed("x"))
    answer.caller_leaves = True
    walk = Walk(answer)
    with pytest.raises(ClientGone):
        await walk.run(stream=True)
    assert walk.told == (200, "client_closed", ["upstream_closed"], "stream")


async def test_the_phase_of_an_earlier_try_is_forgotten() -> None:
    """The first channel streamed nothing and broke; the caller left while the second was silent."""
    walk = Walk(streamed(fault=UpstreamClosed("x")), asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await walk.run(stream=True)
    assert walk.told == (0, "client_closed", ["upstream_closed", "cancelled"], "head")


async def test_a_caller_who_is_gone_before_his_socket_is_taken_has_left_and_is_settled() -> None:
    walk = Walk()

    async def gone() -> int:
        raise ClientGone

    walk.take_socket = gone  # type: ignore[method-assign]
    with pytest.raises(ClientGone):
        await walk.run(stream=True)
    assert walk.settled() is None
    assert walk.told == (0, "client_closed", [], "head")


# --- when we fail ourselves


class LedgerDown(ServiceError):
    code = "ledger_unavailable"


async def test_a_settlement_that_fails_withholds_a_whole_answer() -> None:
    walk = Walk(whole())
    walk.ledger.faults = [LedgerDown("x")]
    with pytest.raises(LedgerDown):
        await walk.run()
    assert walk.told[:2] == (503, "ledger_unavailable")


async def test_a_settlement_that_fails_withholds_the_end_of_a_stream() -> None:
    walk = Walk(streamed(event("Hi"), event(finish="stop")))
    walk.ledger.faults = [LedgerDown("x")]
    assert await walk.run(stream=True) == Streamed(keep_alive=False)
    assert b"[DONE]" not in walk.outlet.text
    assert not walk.outlet.text.endswith(LAST_CHUNK)
    assert walk.told[:2] == (200, "ledger_unavailable")
    assert walk.settled() is None


async def test_a_settlement_that_fails_behind_a_broken_stream_is_not_told_in_it() -> None:
    walk = Walk(streamed(event("Hi"), fault=UpstreamClosed("x")))
    walk.ledger.faults = [LedgerDown("x")]
    assert await walk.run(stream=True) == Streamed(keep_alive=False)
    assert walk.told[:2] == (200, "upstream_closed")


async def test_a_mistake_of_ours_is_no_callers_leaving() -> None:
    walk = Walk(KeyError("x"))
    with pytest.raises(KeyError):
        await walk.run()
    assert walk.told == (500, "internal_error", ["cancelled"], "")
    assert walk.settled() is None
