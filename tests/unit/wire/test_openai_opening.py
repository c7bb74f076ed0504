"""What is, and is not, taken for a refusal at the beginning of a stream."""

import time

import pytest

from relay.wire.openai_opening import opens_with_refusal


@pytest.mark.parametrize(
    "text",
    [
        b'data: {"error": {"message": "overloaded"}}\n\ndata: [DONE]\n\n',
        b'data:{"error":"overloaded"}\n\n',
        b'event: error\ndata: {"error": {}}\n\n',
        b': ping\n\nid: 1\r\n\r\ndata: {"error": {}}\r\n\r\n',
        b': ping\r\rdata: {"error": {}}\r\r',
        b'{"error": {"message": "overloaded"}}',
        b"[]",
        b"\r\n<!doctype html>",
    ],
)
def test_an_error_or_something_else_than_events_is_a_refusal(text: bytes) -> None:
    assert opens_with_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'data: {"id": 1, "choices": []}\n\n',
        b'data: {"error": null, "choices": []}\n\n',
        b'data: {"choices": []}\n\ndata: {"error": {}}\n\n',
        b"data: [DONE]\n\n",
        b": ping\n\n",
        b'data: {"err',
    ],
)
def test_anything_else_is_not(text: bytes) -> None:
    assert not opens_with_refusal(text)


@pytest.mark.parametrize("text", [b"\n", b" ", b"\r\n ", b"a\n", b"data:", b"data: {", b":\r"])
def test_a_hostile_text_costs_no_more_than_its_length(text: bytes) -> None:
    began = time.perf_counter()
    assert not opens_with_refusal(text * (64 << 10))
    assert time.perf_counter() - began < 0.1
