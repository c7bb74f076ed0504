"""The official client: it streams through the relay, is told of every failure by its own exceptions, and never takes a cut for an end."""

import time
from collections.abc import AsyncIterator

import openai
import pytest

from tests.exchange.running import Running, channel_to, running
from tests.support.builders import KEY, MODEL, principal
from tests.support.upstream import (
    LAST,
    ScriptedUpstream,
    Step,
    chunk,
    completion,
    cut,
    event,
    head,
    json_answer,
    pause,
    reset,
    say,
    silence,
    story,
    stream,
)
from tests.support.waiting import eventually

WORDS = ["Grüße", ", ", "世界"]
SAID = [event(word) for word in WORDS]


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream((silence,)) as upstream:
        yield upstream


@pytest.fixture
async def relay(upstream: ScriptedUpstream) -> AsyncIterator[Running]:
    async with running(channel_to(upstream, idle_s=0.2), keys=(principal(), principal("sk-narrow", models={"x"})), commit_s=0.05) as relay:
        yield relay


@pytest.fixture
async def client(relay: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{relay.where}/v1", api_key=KEY, timeout=5) as client:
        yield client


async def hear(client: openai.AsyncOpenAI, model: str = MODEL) -> AsyncIterator[str]:
    """The words of a stream."""
    answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}], stream=True)
    async for part in answer:
        for choice in part.choices:
            if choice.delta.content:
                yield choice.delta.content


async def test_a_stream_is_heard_to_its_end(client: openai.AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script((say(stream(*story(*WORDS))),))
    for _ in range(3):
        assert [word async for word in hear(client)] == WORDS


async def test_a_whole_answer_is_understood(client: openai.AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script((say(json_answer(completion("Grüße"))),))
    answer = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content == "Grüße"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3
    assert [model.id async for model in client.models.list()] == [MODEL]


CUTS: dict[str, tuple[Step, ...]] = {
    "mid chunk": (say(chunk(event("there"))[:60]), pause(0.005), cut),
    "mid event": (say(chunk(event("there")[:60])), pause(0.005), cut),
    "mid event, last chunk": (say(chunk(event("there")[:60]) + LAST),),
    "closed": (cut,),
    "reset": (reset,),
    "last chunk": (say(LAST),),
    "finished, closed": (say(chunk(event(finish="stop"))), pause(0.005), cut),
    "finished, reset": (say(chunk(event(finish="stop"))), pause(0.005), reset),
    "garbage": (say(b"zz\r\n"),),
    "idle": (silence,),
}


@pytest.mark.parametrize("name", CUTS)
async def test_a_cut_stream_raises_behind_what_had_come(client: openai.AsyncOpenAI, upstream: ScriptedUpstream, name: str) -> None:
    upstream.script((say(head()), say(*map(chunk, SAID)), pause(0.005), *CUTS[name]))
    words = hear(client)
    assert [await anext(words) for _ in WORDS] == WORDS
    with pytest.raises(openai.APIError):
        await anext(words)
    assert len(upstream.heard) == 1


async def test_a_failure_before_the_first_word_has_its_status(client: openai.AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script((say(head()), cut))
    with pytest.raises(openai.InternalServerError) as caught:
        [word async for word in hear(client.with_options(max_retries=0))]
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_closed")


async def test_a_failure_after_the_status_line_is_an_api_error(client: openai.AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script((pause(0.1), say(json_answer({}, 500))))
    with pytest.raises(openai.APIError, match="The upstream failed to answer"):
        [word async for word in hear(client)]


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (json_answer({"error": {"message": "x", "code": "too_long"}}, 400), openai.BadRequestError, "too_long"),
        (json_answer({}, 401), openai.InternalServerError, "no_channel_available"),
        (json_answer({}, 429, "Retry-After: 1"), openai.RateLimitError, "upstream_rate_limited"),
        (json_answer({}, 500), openai.InternalServerError, "upstream_refused"),
    ],
)
async def test_what_the_upstream_refuses_is_told_by_type(
    client: openai.AsyncOpenAI, upstream: ScriptedUpstream, answer: bytes, error: type[openai.APIStatusError], code: str
) -> None:
    upstream.script((say(answer),))
    with pytest.raises(error) as caught:
        [word async for word in hear(client.with_options(max_retries=0))]
    assert caught.value.code == code
    assert caught.value.request_id == "f" * 32


@pytest.mark.parametrize(
    ("key", "model", "error", "code"),
    [
        ("sk-wrong", MODEL, openai.AuthenticationError, "invalid_api_key"),
        ("sk-narrow", MODEL, openai.PermissionDeniedError, "model_not_allowed"),
        (KEY, "unknown", openai.NotFoundError, "model_not_found"),
    ],
)
async def test_what_the_relay_refuses_is_told_by_type_and_not_tried_again(
    client: openai.AsyncOpenAI, relay: Running, key: str, model: str, error: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(error) as caught:
        [word async for word in hear(client.with_options(api_key=key), model)]
    assert caught.value.code == code
    assert len(relay.observer.reports) == 1


async def test_a_timeout_that_may_have_been_billed_is_not_tried_again(client: openai.AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script((say(head(kind="application/json")), silence))
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hello"}])
    assert caught.value.code == "upstream_idle_timeout"
    assert len(upstream.heard) == 1


async def test_a_client_that_stops_listening_stops_the_upstream(client: openai.AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    upstream.script((say(head(), *map(chunk, SAID)), silence))
    answer = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hello"}], stream=True)
    async for _ in answer:
        break
    began = time.monotonic()
    await answer.close()
    await eventually(lambda: upstream.left)
    assert time.monotonic() - began < 0.5
