"""The echo: an honest stand-in for a model."""

import base64
import math
import struct
from collections.abc import AsyncIterator
from typing import Any

import openai
import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from relay.demo.echo import PACE_S, application, chat_reply, completion_reply, embedding, text_of, words_of

Client = TestClient[Any, Any]
ASK = {"model": "echo-1", "messages": [{"role": "user", "content": "one two"}]}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with TestClient(TestServer(application(pace_s=0))) as client:
        yield client


@pytest.fixture
async def official(client: Client) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=str(client.make_url("/v1")), api_key="k", max_retries=0) as official:
        yield official


async def post(client: Client, path: str, body: object) -> tuple[int, dict[str, Any]]:
    response = await client.post(path, data=body if isinstance(body, bytes) else orjson.dumps(body))
    return response.status, orjson.loads(await response.read())


# --- what is said


@pytest.mark.parametrize("text", ["", " ", "one", " one  two\nthree ", "日本語 と 😀", "\n\n", "a\u00a0b"])
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words_of(text)) == text


def test_it_answers_with_the_last_user_message() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": "second one"},
        {"role": "tool", "content": "result"},
    ]
    reply = chat_reply({"messages": messages})
    assert "".join(reply.words) == "second one"
    assert reply.usage == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def test_the_text_parts_of_a_message_are_its_text() -> None:
    assert text_of([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, "odd", {"type": "text", "text": "b"}]) == "ab"
    assert text_of(None) == ""


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_it_stops_where_it_is_told_to(name: str) -> None:
    reply = completion_reply({"prompt": "one two three", name: 2})
    assert (reply.words, reply.finish) == (["one ", "two "], "length")
    assert completion_reply({"prompt": "one two three", name: 3}).finish == "stop"


def test_an_embedding_is_a_direction_that_similar_texts_share() -> None:
    def likeness(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(embedding(one, 64), embedding(other, 64), strict=True))

    assert math.isclose(likeness("a red rose", "a red rose"), 1)
    assert likeness("a red rose", "a red tulip") > likeness("a red rose", "quarterly figures attached")


def test_a_long_message_does_not_take_for_ever() -> None:
    assert PACE_S <= 0.05


# --- how the official client understands it


async def test_a_whole_answer_has_its_usage(official: openai.AsyncOpenAI) -> None:
    answer = await official.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": "one two three"}])
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 3)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_stream_comes_word_by_word_with_usage_if_wanted(official: openai.AsyncOpenAI, *, wanted: bool) -> None:
    stream = await official.chat.completions.create(
        model="echo-1", messages=[{"role": "user", "content": "one two three"}], stream=True, stream_options={"include_usage": wanted}
    )
    chunks = [chunk async for chunk in stream]
    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices] == ["", "one ", "two ", "three", None]
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([6] if wanted else [])


async def test_a_completion_is_its_prompt_whole_or_streamed(official: openai.AsyncOpenAI) -> None:
    whole = await official.completions.create(model="echo-1", prompt="one two")
    assert whole.choices[0].text == "one two"
    stream = await official.completions.create(model="echo-1", prompt="one two", stream=True)
    assert [chunk.choices[0].text async for chunk in stream] == ["one ", "two", ""]


async def test_embeddings_come_as_numbers_and_as_base64(official: openai.AsyncOpenAI, client: Client) -> None:
    answer = await official.embeddings.create(model="echo-1", input=["one", "two"])  # asks for base64
    assert [len(item.embedding) for item in answer.data] == [64, 64]
    body = {"model": "echo-1", "input": "one", "encoding_format": "float", "dimensions": 8}
    assert len((await post(client, "/v1/embeddings", body))[1]["data"][0]["embedding"]) == 8
    packed = (await post(client, "/v1/embeddings", {**body, "encoding_format": "base64"}))[1]["data"][0]["embedding"]
    assert struct.unpack("<8f", base64.b64decode(packed)) == pytest.approx(embedding("one", 8), abs=1e-6)


async def test_token_numbers_can_be_embedded(client: Client) -> None:
    for given, count in (([1, 2, 3], 1), ([[1, 2], [3]], 2)):
        status, answer = await post(client, "/v1/embeddings", {"model": "echo-1", "input": given})
        assert (status, len(answer["data"])) == (200, count)


# --- what it refuses


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/v1/chat/completions", b"{", 400, None),
        ("/v1/chat/completions", [], 400, None),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}, 404, "model"),
        ("/v1/chat/completions", {**ASK, "model": "gpt-4o"}, 404, "model"),
        ("/v1/chat/completions", {"model": "echo-1"}, 400, "messages"),
        ("/v1/chat/completions", {"model": "echo-1", "messages": []}, 400, "messages"),
        ("/v1/chat/completions", {"model": "echo-1", "messages": ["x"]}, 400, "messages"),
        ("/v1/chat/completions", {**ASK, "n": 2}, 400, "n"),
        ("/v1/completions", {"model": "echo-1"}, 400, "prompt"),
        ("/v1/embeddings", {"model": "echo-1"}, 400, "input"),
        ("/v1/embeddings", {"model": "echo-1", "input": [""]}, 400, "input"),
        ("/v1/embeddings", {"model": "echo-1", "input": []}, 400, "input"),
        ("/v1/embeddings", {"model": "echo-1", "input": "x", "dimensions": 0}, 400, "dimensions"),
        ("/v1/responses", {"model": "echo-1", "input": "x"}, 404, None),
    ],
)
async def test_a_refusal_is_an_error_object(client: Client, path: str, body: object, status: int, param: str | None) -> None:
    got, answer = await post(client, path, body)
    assert got == status
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["param"] == param


async def test_it_says_that_it_is_well_and_which_model_it_is(client: Client) -> None:
    assert (await client.get("/health")).status == 200
    assert [model["id"] for model in orjson.loads(await (await client.get("/v1/models")).read())["data"]] == ["echo-1"]
