"""The walk: which step comes when, what is told of it, and that every reservation is settled once, however it ends."""

import asyncio
import json
from dataclasses import replace

import orjson
import pytest

from relay.domain.access import Principal
from relay.domain.errors import (
    Fault,
    InvalidBody,
    InvalidKey,
    ModelNotAllowed,
    ModelNotFound,
    NoChannel,
    TotalTimeout,
    UpstreamAuth,
    UpstreamClosed,
    UpstreamError,
    UpstreamIdleTimeout,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnreachable,
    UpstreamVerdict,
)
from relay.domain.usage import Usage
from relay.exchange import models_for
from relay.ports import Reservation, Streamed, Whole
from relay.wire.chunks import LAST_CHUNK
from tests.support.builders import EMBEDDINGS, KEY, MODEL, candidate, channel, principal
from tests.support.caller import chat
from tests.support.ports import AnswerFake, Keys, head_of
from tests.support.upstream import DONE, chunk, completion, event, story
from tests.support.walk import HEAD, ID, Walk, streamed, whole

# --- the order of things


async def test_a_whole_answer_is_settled_before_it_is_given() -> None:
    walk = Walk(whole())
    answer = await walk.run()
    assert isinstance(answer, Whole)
    assert (answer.status, answer.content_type, json.loads(answer.body)) == (200, "application/json", completion())
    assert walk.journal == ["began", "reserve", "open", "settle", "ended"]
    assert walk.settled() == Usage(3, 1)
    assert walk.told == (200, "", ["ok"], "")
    report = walk.observer.report
    assert (report.key, report.model, report.stream, report.usage) == ("alice", MODEL, False, Usage(3, 1))


async def test_a_stream_is_written_as_it_comes_and_its_end_once_it_is_settled() -> None:
    events = story("Hel", "lo")[:-1]
    walk = Walk(streamed(*events, first_token_at=1000.5))
    assert await walk.run(stream=True) == Streamed(keep_alive=True)
    assert walk.journal == ["began", "reserve", "take socket", "outlet 7", "open", *["write"] * 4, "settle", "write", "flushed", "ended"]
    assert walk.outlet.written == [HEAD + chunk(events[0]), *map(chunk, events[1:]), chunk(DONE) + LAST_CHUNK]
    assert not walk.outlet.is_open
    assert walk.settled() == Usage(3, 2)
    assert walk.told == (200, "", ["ok"], "")
    assert walk.observer.report.first_token_s == 0.5
    assert walk.observer.open_streams == 0


async def test_the_end_of_a_stream_waits_for_its_settlement() -> None:
    walk = Walk(streamed(event("Hi")))
    walk.ledger.gate.clear()
    task = asyncio.create_task(walk.run(stream=True))
    await asyncio.sleep(0.01)
    assert walk.outlet.text == HEAD + chunk(event("Hi"))
    walk.ledger.gate.set()
    await task
    assert walk.outlet.text == HEAD + chunk(event("Hi")) + chunk(DONE) + LAST_CHUNK


async def test_the_upstream_gets_what_was_judged_and_nothing_of_the_callers_head() -> None:
    walk = Walk(whole(), candidates=(candidate(channel(models={MODEL: "theirs"})),))
    body = f'{{"model": "other", "model": "{MODEL}", "messages": [{{"role": "user", "content": "Hi"}}], "x_unknown": {{"deep": [1]}}}}'
    await walk.run(body.encode())
    [call] = walk.upstream.calls
    assert orjson.loads(call.body) == {"model": "theirs", "messages": [{"role": "user", "content": "Hi"}], "x_unknown": {"deep": [1]}}
    head = call.head.decode().split("\r\n")
    assert head[0] == "POST /v1/chat/completions HTTP/1.1"
    assert f"X-Request-Id: {ID}" in head
    assert f"Content-Length: {len(call.body)}" in head
    assert "Authorization: Bearer sk-upstream-0123456789abcdef" in head
    assert KEY not in call.head.decode()
    assert "sk-" not in repr(call)
    assert walk.upstream.give_up_at == 1060


async def test_what_does_not_stream_is_never_streamed() -> None:
    walk = Walk(whole({"data": []}))
    assert isinstance(await walk.run({"model": MODEL, "input": "x", "stream": True}, endpoint=EMBEDDINGS), Whole)
    assert not walk.observer.report.stream


# --- refused before anything is tried


@pytest.mark.parametrize(
    ("body", "secret", "key", "fault"),
    [
        (None, "sk-wrong", principal(), InvalidKey),
        (None, KEY, principal(enabled=False), InvalidKey),
        (b"{", KEY, principal(), InvalidBody),
        (None, KEY, principal(models={"another"}), ModelNotAllowed),
        (chat(model="unknown\x07"), KEY, principal(), ModelNotFound),
    ],
)
async def test_a_refused_request_reserves_nothing_and_reaches_nobody(body: object, secret: str, key: Principal, fault: type[Fault]) -> None:
    walk = Walk()
    walk.keys = Keys(key)
    with pytest.raises(fault) as caught:
        await walk.run(body, secret=secret)
    assert walk.journal == ["began", "ended"]
    assert walk.told == (fault.status, fault.code, [], "")
    assert "\x07" not in caught.value.message


async def test_an_unknown_model_is_no_label() -> None:
    walk = Walk()
    with pytest.raises(ModelNotFound):
        await walk.run(chat(model="unknown"))
    assert walk.observer.report.model == ""


async def test_a_refused_reservation_reaches_nobody_and_is_not_settled() -> None:
    walk = Walk()

    async def refuse(request_id: str, key: str) -> Reservation:
        del request_id, key
        msg = "no"
        raise NoChannel(msg)

    walk.ledger.reserve = refuse  # type: ignore[method-assign]
    with pytest.raises(NoChannel):
        await walk.run()
    assert walk.journal == ["began", "ended"]


async def test_models_are_listed_as_far_as_the_key_goes() -> None:
    walk = Walk(candidates=(candidate(channel(models={"a": "a", "b": "b"})), candidate(channel("second", models={"c": "c", "a": "z"}))))
    world = walk.world()
    assert models_for(KEY, "192.0.2.1", world) == ("a", "b", "c")
    assert models_for(KEY, "192.0.2.1", replace(world, keys=Keys(principal(models={"c", "x"})))) == ("c",)
    with pytest.raises(InvalidKey):
        models_for("sk-wrong", "192.0.2.1", world)


# --- another channel


def retried() -> list[UpstreamError]:
    return [
        UpstreamUnreachable("x"),
        UpstreamClosed("x"),
        UpstreamProtocol("x"),
        UpstreamIdleTimeout("x"),
        UpstreamRefused("x"),
        UpstreamAuth("x"),
        UpstreamRateLimited("x"),
    ]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", retried(), ids=lambda fault: type(fault).__name__)
async def test_the_next_channel_is_tried_while_nothing_has_been_answered(fault: UpstreamError, stream: bool) -> None:  # noqa: FBT001
    walk = Walk(fault, streamed(event("Hi")) if stream else whole())
    await walk.run(stream=stream)
    assert [call.channel.name for call in walk.upstream.calls] == ["main", "second"]
    assert walk.told == (200, "", [fault.code, "ok"], "")
    assert [attempt.candidate.channel.name for attempt in walk.observer.report.attempts] == ["main", "second"]
    if stream:
        assert walk.outlet.text.startswith(HEAD)
        assert walk.outlet.text.count(b"HTTP/1.1") == 1


async def test_of_a_failed_try_the_operator_is_told_what_no_caller_is_shown() -> None:
    unreachable = UpstreamUnreachable("It could not be reached.")
    unreachable.__cause__ = OSError("no route to 192.0.2.1")
    walk = Walk(unreachable, UpstreamRefused("It failed.", upstream_status=500), whole())
    await walk.run()
    assert [attempt.detail for attempt in walk.observer.report.attempts] == [
        "It could not be reached. OSError: no route to 192.0.2.1",
        "It failed. (status 500)",
        "",
    ]


@pytest.mark.parametrize("fault", [UpstreamVerdict("x", upstream_status=400, body=b"{}"), TotalTimeout("x")])
async def test_what_another_channel_cannot_mend_is_not_tried_there(fault: UpstreamError) -> None:
    walk = Walk(fault)
    with pytest.raises(type(fault)):
        await walk.run()
    assert walk.told == (fault.answer_status, fault.code, [fault.code or fault.type], "")
    assert walk.settled() is None


async def test_no_more_channels_are_tried_than_the_limit() -> None:
    walk = Walk(*(UpstreamClosed("x") for _ in range(9)))
    with pytest.raises(UpstreamClosed):
        await walk.run()
    assert len(walk.upstream.calls) == 3
    assert walk.settled() is None


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (whole(status=401), "upstream_credential_refused"),
        (whole(status=429), "upstream_rate_limited"),
        (whole(status=500), "upstream_refused"),
        (whole(status=302), "upstream_refused"),
        (whole(status=204), "upstream_refused"),
        (whole({"error": {"message": "x"}}), "upstream_refused"),
        (AnswerFake(head_of(), b"<html>"), "upstream_protocol_error"),
        (AnswerFake(head_of(), b"[]"), "upstream_protocol_error"),
        (whole(content_encoding="gzip"), "upstream_protocol_error"),
        (AnswerFake(head_of(), fault=UpstreamClosed("x")), "upstream_closed"),
    ],
)
async def test_an_answer_that_is_none_is_left_for_the_next_channel(answer: AnswerFake, result: str) -> None:
    walk = Walk(answer, whole())
    await walk.run()
    assert walk.told == (200, "", [result, "ok"], "")
    assert answer.is_abandoned


async def test_a_stream_was_asked_for_but_json_came() -> None:
    walk = Walk(whole(), streamed(event("Hi")))
    await walk.run(stream=True)
    assert walk.told == (200, "", ["upstream_protocol_error", "ok"], "")


async def test_an_answer_with_a_null_error_is_an_answer() -> None:
    walk = Walk(whole({**completion(), "error": None}))
    assert isinstance(await walk.run(), Whole)


async def test_a_whole_answer_is_read_up_to_the_limit() -> None:
    answer = whole()
    await Walk(answer).run()
    assert answer.limit == 1000
