"""A real model behind the whole product: real tokens, tools, exact text, and an end of the work when the caller leaves."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import openai
import pytest

from tests.e2e.running import Run, fetch

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

NAME = "smollm2-135m"
EXACT = '日本 "quoted" back\\slash Привет 😀'


@pytest.fixture
def client(model: Run) -> Iterator[openai.OpenAI]:
    with model.client() as client:
        yield client


def busy_slots(model: Run) -> int:
    """How many answers the upstream is working on."""
    url = model.settings()["channel"][0]["base_url"].removesuffix("/v1")
    return sum(slot["is_processing"] for slot in json.loads(fetch(f"{url}/slots")))


def test_tokens_arrive_one_by_one(client: openai.OpenAI) -> None:
    arrivals, last = [], None
    stream = client.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": "Why is the sky blue?"}],
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        last = chunk
        if chunk.choices and chunk.choices[0].delta.content:
            arrivals.append(time.monotonic())
    assert len(arrivals) >= 20
    assert sum(later - earlier > 0.001 for earlier, later in pairwise(arrivals)) >= len(arrivals) // 2
    assert last
    assert last.usage
    assert last.usage.completion_tokens == 24


def test_a_whole_answer_names_the_model_and_counts_its_tokens(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "Say hello."}], max_tokens=12)
    assert answer.model == NAME
    assert answer.choices[0].message.content
    assert answer.usage
    assert 0 < answer.usage.completion_tokens <= 12


def test_text_that_a_grammar_forces_comes_through_exactly(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": "Say it."}],
        stream=True,
        response_format={"type": "json_schema", "json_schema": {"name": "exact", "schema": {"const": EXACT}}},
    )
    assert json.loads("".join(chunk.choices[0].delta.content or "" for chunk in stream)) == EXACT


def test_a_tool_is_called_and_its_result_is_used(client: openai.OpenAI) -> None:
    tools: list[ChatCompletionToolUnionParam] = [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Get the weather in a city",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
        }
    ]
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = client.chat.completions.create(model=NAME, messages=messages, tools=tools, temperature=0).choices[0].message
    assert asked.tool_calls
    call = asked.tool_calls[0]
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    messages += [
        {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": call.function.model_dump()}]},  # type: ignore[typeddict-item]
        {"role": "tool", "tool_call_id": call.id, "content": "18 degrees, sunny"},
    ]
    answer = client.chat.completions.create(model=NAME, messages=messages, tools=tools, temperature=0, max_tokens=40)
    assert "18" in (answer.choices[0].message.content or "")


def test_embeddings_come_from_the_same_model(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=NAME, input=["a rose", "a tulip"])
    assert [len(item.embedding) for item in answer.data] == [576, 576]


def test_requests_that_follow_one_another_all_succeed(client: openai.OpenAI) -> None:
    # This upstream promises to keep a connection open after a stream, and closes it at once.
    for _ in range(8):
        stream = client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "hi"}], max_tokens=2, stream=True)
        assert sum(1 for _ in stream) >= 2


def test_a_client_that_leaves_frees_the_models_slot(model: Run, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=NAME, messages=[{"role": "user", "content": "Tell a very long story about the sea."}], max_tokens=2000, stream=True
    )
    for _ in range(5):
        next(iter(stream))
    assert busy_slots(model) == 1
    stream.close()
    left_at = time.monotonic()
    while busy_slots(model) and time.monotonic() < left_at + 10:
        time.sleep(0.01)
    assert time.monotonic() - left_at < 3  # 2,000 tokens take 12 s and more


def test_errors_are_typed(model: Run, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):  # this upstream would take any name
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "word " * 9000}])
    with model.client("sk-wrong") as stranger, pytest.raises(openai.AuthenticationError):
        stranger.embeddings.create(model=NAME, input="x")
