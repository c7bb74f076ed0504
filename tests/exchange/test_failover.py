"""Which channel is tried when, what the caller is told when none could help, and what each upstream gets to see."""

import gzip
import json
import socket
from collections.abc import Iterator

import pytest

from relay.domain.usage import Usage
from tests.exchange.running import channel_to, running, with_keys
from tests.support.builders import KEY
from tests.support.caller import chat, request
from tests.support.upstream import (
    DONE,
    LAST,
    Heard,
    ScriptedUpstream,
    Step,
    chunk,
    completion,
    cut,
    event,
    forever,
    head,
    json_answer,
    reset,
    say,
    silence,
    story,
    stream,
)

WHOLE = say(json_answer(completion()))
STREAM = say(stream(*story("Hi")))
REFUSAL = {"error": {"message": "theirs: secret detail", "type": "theirs", "param": None, "code": "theirs"}}


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        yield port


def credential(heard: Heard) -> str | None:
    return heard.headers.get("authorization")


FAILURES: dict[str, tuple[Step, ...]] = {
    "closed": (cut,),
    "reset": (reset,),
    "half a head": (say(b"HTTP/1.1 200 OK\r\nConte"), cut),
    "garbage": (say(b"\x00\x01\x02\x03" * 100),),
    "two lengths": (say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),),
    "401": (say(json_answer(REFUSAL, 401)),),
    "402": (say(json_answer(REFUSAL, 402)),),
    "403": (say(json_answer(REFUSAL, 403)),),
    "429": (say(json_answer(REFUSAL, 429)),),
    "500": (say(json_answer(REFUSAL, 500)),),
    "529": (say(json_answer(b"<html>", 529)),),
    "redirect": (say(json_answer(b"", 307, "Location: http://127.0.0.1:1/secret")),),
    "204": (say(head(204, framing="")),),
    "error in 200": (say(json_answer(REFUSAL)),),
    "html": (say(head(kind="text/html", framing="Content-Length: 6") + b"<html>"),),
    "gzip": (say(json_answer(gzip.compress(b"{}"), 200, "Content-Encoding: gzip")),),
    "silence": (silence,),
}


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FAILURES)
async def test_a_channel_that_fails_before_its_answer_is_replaced(name: str, is_stream: bool) -> None:  # noqa: FBT001
    async with (
        ScriptedUpstream(FAILURES[name]) as first,
        ScriptedUpstream((STREAM if is_stream else WHOLE,)) as second,
        running(channel_to(first, priority=1, first_byte_s=0.05), channel_to(second, "second")) as relay,
    ):
        reply = await relay.ask(stream=is_stream)
        assert (reply.status, reply.is_whole) == (200, True)
        assert reply.body == (b"".join(story("Hi")) if is_stream else json.dumps(completion()).encode())
        assert len(first.heard) == len(second.heard) == 1
        report = relay.observer.report
        assert [attempt.candidate.channel.name for attempt in report.attempts] == ["main", "second"]
        assert report.attempts[0].result != "ok" == report.attempts[1].result
        assert (report.status, report.code) == (200, "")
        assert relay.ledger.settled == [("f" * 32, Usage(3, 1))]


@pytest.mark.parametrize(
    "opening",
    [
        (say(head() + chunk(b'data: {"error": {"message": "overloaded"}}\n\n', DONE) + LAST),),
        (say(head() + LAST),),
        (say(head()), cut),
        (say(head(framing="Content-Length: 0")),),
        (say(json_answer(completion())),),
        (say(head(200, "Content-Encoding: gzip") + chunk(b"\x1f\x8b") + LAST),),
        (say(head()), silence),
        (say(head() + b"zz\r\n"),),
    ],
    ids=["error event", "empty", "cut", "no body", "json", "gzip", "silence", "bad chunk"],
)
async def test_a_stream_that_fails_before_its_first_event_is_replaced(opening: tuple[Step, ...]) -> None:
    async with (
        ScriptedUpstream(opening) as first,
        ScriptedUpstream((STREAM,)) as second,
        running(channel_to(first, priority=1, idle_s=0.05), channel_to(second, "second")) as relay,
    ):
        reply = await relay.ask(stream=True)
        assert (reply.status, reply.is_whole, reply.body) == (200, True, b"".join(story("Hi")))
        assert len(relay.observer.report.attempts) == 2


async def test_how_a_failed_channel_framed_its_stream_is_forgotten() -> None:
    """The second one's stream breaks between two events: that is seen, and told."""
    async with (
        ScriptedUpstream((say(head() + b"5\r\n"), cut)) as first,
        ScriptedUpstream((say(head(framing="") + event("Hi")), cut)) as second,
        running(channel_to(first, priority=1), channel_to(second, "second")) as relay,
    ):
        reply = await relay.ask(stream=True)
        assert not reply.is_whole
        assert reply.body.startswith(event("Hi") + b'data: {"error"')


async def test_a_channel_nobody_listens_at_is_replaced(nobody: int) -> None:
    async with ScriptedUpstream((WHOLE,)) as second, running(channel_to(nobody, priority=1), channel_to(second, "second")) as relay:
        assert (await relay.ask()).status == 200
        assert [attempt.result for attempt in relay.observer.report.attempts] == ["upstream_unreachable", "ok"]


async def test_the_credentials_of_a_channel_come_before_a_lower_priority() -> None:
    async with (
        ScriptedUpstream((say(json_answer({}, 401)),), (say(json_answer({}, 429)),)) as first,
        ScriptedUpstream((WHOLE,)) as second,
        running(
            with_keys(channel_to(second, "second"), "sk-up-c"), with_keys(channel_to(first, priority=5), "sk-up-a", "sk-up-b")
        ) as relay,
    ):
        assert (await relay.ask()).status == 200
        assert [credential(heard) for heard in first.heard] == ["Bearer sk-up-a", "Bearer sk-up-b"]
        assert [credential(heard) for heard in second.heard] == ["Bearer sk-up-c"]
        labels = [attempt.candidate.credential.label for attempt in relay.observer.report.attempts if attempt.candidate.credential]
        assert labels == ["main#1", "main#2", "second#1"]


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_what_the_upstream_blames_on_the_request_is_passed_on_and_not_tried_elsewhere(status: int) -> None:
    theirs = {"error": {"message": "context too long", "type": "invalid_request_error", "param": "messages", "code": "too_long", "more": 1}}
    async with (
        ScriptedUpstream((say(json_answer(theirs, status)),)) as upstream,
        running(channel_to(upstream), channel_to(upstream)) as relay,
    ):
        for is_stream in (False, True):
            reply = await relay.ask(stream=is_stream)
            assert (reply.status, reply.code, reply.error["message"]) == (status, "too_long", "context too long")
        assert len(upstream.heard) == 2
        assert [report.status for report in relay.observer.reports] == [status, status]


@pytest.mark.parametrize(
    ("answers", "status", "code", "retry_after"),
    [
        ([json_answer(REFUSAL, 401)], 503, "no_channel_available", "30"),
        ([json_answer(REFUSAL, 402)], 503, "no_channel_available", "30"),
        ([json_answer(REFUSAL, 500)], 502, "upstream_refused", None),
        ([json_answer(REFUSAL, 302)], 502, "upstream_refused", None),
        ([json_answer(REFUSAL)], 502, "upstream_refused", None),
        ([json_answer(REFUSAL, 429, "Retry-After: 7")], 429, "upstream_rate_limited", "7"),
        (
            [json_answer(REFUSAL, 429, "Retry-After: 7"), json_answer(REFUSAL, 429, "retry-after-ms: 2100")],
            429,
            "upstream_rate_limited",
            "3",
        ),
        ([json_answer(REFUSAL, 429), json_answer(REFUSAL, 500)], 502, "upstream_refused", None),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
async def test_what_the_caller_is_told_when_no_channel_could_help(
    answers: list[bytes],
    status: int,
    code: str,
    retry_after: str | None,
    is_stream: bool,  # noqa: FBT001
) -> None:
    async with (
        ScriptedUpstream(*((say(answer),) for answer in answers)) as upstream,
        running(*(channel_to(upstream, f"c{number}") for number in range(len(answers)))) as relay,
    ):
        reply = await relay.ask(stream=is_stream)
        assert (reply.status, reply.code, reply.header("Retry-After")) == (status, code, retry_after)
        assert reply.is_whole
        assert b"theirs" not in reply.body
        assert b"127.0.0.1" not in reply.body
        assert len(upstream.heard) == len(answers)
        assert relay.ledger.settled == [("f" * 32, None)]


async def test_no_more_than_three_channels_are_tried() -> None:
    async with ScriptedUpstream((cut,)) as upstream, running(*(channel_to(upstream, f"c{number}") for number in range(9))) as relay:
        assert (await relay.ask()).code == "upstream_closed"
        assert len(upstream.heard) == 3


async def test_an_answer_without_end_is_cut_at_the_limit_and_told_as_a_502() -> None:
    async with (
        ScriptedUpstream((say(head(kind="application/json")), forever(chunk(b" " * 9000)))) as upstream,
        running(channel_to(upstream), answer_bytes=1 << 20) as relay,
    ):
        assert (await relay.ask()).code == "upstream_protocol_error"
        assert upstream.lines[0].sent < 16 << 20


async def test_the_second_answer_of_a_failed_channel_never_reaches_anybody() -> None:
    """The first channel answers when it has been given up already."""
    async with (
        ScriptedUpstream((silence,)) as first,
        ScriptedUpstream((WHOLE,)) as second,
        running(channel_to(first, priority=1, first_byte_s=0.03), channel_to(second, "second")) as relay,
    ):
        caller = await relay.caller()
        for _ in range(3):
            assert (await caller.ask(request(chat()))).json == completion()
        assert len(first.left) == 3


async def test_the_upstream_sees_nothing_of_the_caller_but_what_he_asked() -> None:
    async with ScriptedUpstream((WHOLE,)) as upstream, running(with_keys(channel_to(upstream), "sk-up-a")) as relay:
        await relay.ask(
            chat(x_unknown=1),
            "Cookie: a=b",
            "X-Forwarded-For: 1.2.3.4",
            "User-Agent: theirs",
            "X-Request-Id: " + "a" * 32,
            "OpenAI-Beta: x",
        )
        [heard] = upstream.heard
        assert heard.line == "POST /v1/chat/completions HTTP/1.1"
        assert sorted(heard.headers) == [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-request-id",
        ]
        assert heard.headers["x-request-id"] == "a" * 32
        assert heard.headers["user-agent"].startswith("postgate/")
        assert KEY not in str(heard)
        assert heard.json == chat(x_unknown=1)


async def test_of_a_field_that_is_there_twice_the_upstream_sees_the_one_that_was_judged() -> None:
    async with ScriptedUpstream((WHOLE,)) as upstream, running(channel_to(upstream)) as relay:
        model = chat()["model"]
        await relay.ask(f'{{"model": "evil", "messages": [{{}}], "stream": true, "model": "{model}", "stream": false}}'.encode())
        assert upstream.heard[0].body.count(b'"model"') == upstream.heard[0].body.count(b'"stream"') == 1
        assert upstream.bodies == [{"model": model, "messages": [{}], "stream": False}]


async def test_an_event_behind_the_first_is_never_taken_back() -> None:
    """An error event after content passes as it is, and no other channel is asked."""
    told = [event("Hi"), b'data: {"error": {"message": "overloaded"}}\n\n']
    async with (
        ScriptedUpstream((say(head(), *map(chunk, told)), cut)) as first,
        ScriptedUpstream((STREAM,)) as second,
        running(channel_to(first, priority=1), channel_to(second, "second")) as relay,
    ):
        reply = await relay.ask(stream=True)
        assert not reply.is_whole
        assert reply.body.startswith(b"".join(told))
        assert second.heard == []
