"""The official client, through nginx and the relay, to the echo: whatever it does there works as it does at OpenAI's."""

import asyncio
import time
from itertools import pairwise

import openai
import pytest

from tests.e2e.running import Run

LONG = " ".join(f"word{number}" for number in range(400))
ODD = 'quotes " and \\ back\\\\slashes, 日本語, Кириллица, e\u0301, 😀👩‍👩‍👧, \u2028, <|im_end|>, data: [DONE]'


def test_a_stream_arrives_token_by_token(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": "word " * 10}], stream=True)
    arrivals = [time.monotonic() for chunk in stream if chunk.choices[0].delta.content]
    apart = [later - earlier for earlier, later in pairwise(arrivals)]
    assert len(arrivals) == 10
    assert sum(gap > 0.01 for gap in apart) >= 6, apart


def test_a_whole_answer_has_its_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": "one two three"}])
    assert answer.choices[0].message.content == "one two three"
    assert answer.usage
    assert answer.usage.completion_tokens == 3


def test_a_stream_has_its_usage_if_it_was_asked_for(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="echo-1", messages=[{"role": "user", "content": "one two three"}], stream=True, stream_options={"include_usage": True}
    )
    assert [chunk.usage.completion_tokens for chunk in stream if chunk.usage] == [3]


@pytest.mark.parametrize("streamed", [True, False])
def test_every_character_comes_through_as_it_was_sent(client: openai.OpenAI, *, streamed: bool) -> None:
    if streamed:
        stream = client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": ODD}], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ODD
    else:
        answer = client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": ODD}])
        assert answer.choices[0].message.content == ODD


def test_completions_and_embeddings_come_through_too(client: openai.OpenAI) -> None:
    assert client.completions.create(model="echo-1", prompt="one two").choices[0].text == "one two"
    answer = client.embeddings.create(model="echo-1", input=["one", "two"])
    assert [len(item.embedding) for item in answer.data] == [64, 64]


async def test_many_streams_at_once_each_get_their_own_words(echo: Run) -> None:
    async def ask(number: int) -> str:
        words = " ".join(f"{number}-{word}" for word in range(8))
        stream = await client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": words}], stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async with openai.AsyncOpenAI(base_url=echo.said("endpoint"), api_key=echo.said("key"), max_retries=0) as client:
        answers = await asyncio.gather(*(ask(number) for number in range(40)))
    assert answers == [" ".join(f"{number}-{word}" for word in range(8)) for number in range(40)]


# --- errors are typed


def test_a_wrong_key_is_an_authentication_error(echo: Run) -> None:
    with echo.client("sk-wrong") as client, pytest.raises(openai.AuthenticationError) as refused:
        client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": "hi"}])
    assert refused.value.code == "invalid_api_key"
    assert refused.value.request_id


def test_a_model_that_is_not_there_is_a_not_found_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("streamed", [True, False])
def test_what_the_relay_refuses_is_a_bad_request_error(client: openai.OpenAI, *, streamed: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="echo-1", messages=[], stream=streamed)
    assert refused.value.param == "messages"


@pytest.mark.parametrize("streamed", [True, False])
def test_what_the_upstream_refuses_is_a_bad_request_error(client: openai.OpenAI, *, streamed: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": "hi"}], n=2, stream=streamed)
    assert refused.value.param == "n"
    assert "one choice" in str(refused.value)


def test_what_the_edge_refuses_is_a_permission_error_in_the_same_form(client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.models.list()
    assert refused.value.code
    assert refused.value.request_id


def test_the_client_goes_on_after_an_error_on_the_same_connection(client: openai.OpenAI) -> None:
    for _ in range(5):
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        assert (
            client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": "hi"}]).choices[0].message.content == "hi"
        )


# --- leaving


def test_a_client_that_leaves_in_the_middle_ends_the_stream_at_once(echo: Run, client: openai.OpenAI) -> None:
    left, open_now = 'relay_client_disconnects_total{phase="stream"}', "relay_open_streams"
    before = echo.metric(left)
    stream = client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": LONG}], stream=True)
    for _ in range(5):
        next(iter(stream))
    assert echo.metric(open_now) == 1
    stream.close()
    end = time.monotonic() + 5  # the whole answer takes 12 s
    while echo.metric(open_now) and time.monotonic() < end:
        time.sleep(0.02)
    assert echo.metric(open_now) == 0
    assert echo.metric(left) == before + 1
