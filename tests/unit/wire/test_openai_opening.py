"""What is, and is not, taken for a refusal at the beginning of a stream, and what must be waited for."""

import time

import pytest

from relay.wire.openai_opening import Opening, judge_opening


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
        b"data: [DONE]\n\n",
        b": ping\n\ndata:[DONE]\n",
    ],
)
def test_an_error_or_an_end_or_something_else_than_events_is_a_refusal(text: bytes) -> None:
    assert judge_opening(text) is Opening.REFUSAL


@pytest.mark.parametrize(
    "text",
    [
        b'data: {"id": 1, "choices": []}\n\n',
        b'data: {"error": null, "choices": []}\n\n',
        b'data: {"choices": []}\n\ndata: {"error": {}}\n\n',
        b'data: {"choices": []}\n\ndata: [DONE]\n\n',
        b": ping\n\ndata: 1\r",
    ],
)
def test_any_other_event_is_fine(text: bytes) -> None:
    assert judge_opening(text) is Opening.FINE


@pytest.mark.parametrize("text", [b"", b"\n", b": ping\n\n", b"event: error\nid: 1\nretry: 5\n", b'data: {"err', b'data: {"choices": []}'])
def test_before_the_first_data_line_is_whole_nothing_can_be_told(text: bytes) -> None:
    assert judge_opening(text) is Opening.UNCLEAR


@pytest.mark.parametrize("text", [b"\n", b" ", b"\r\n ", b"a\n", b"data:", b"data: {", b":\r"])
def test_a_hostile_text_costs_no_more_than_its_length(text: bytes) -> None:
    began = time.perf_counter()
    assert judge_opening(text * (64 << 10)) is not Opening.REFUSAL
    assert time.perf_counter() - began < 0.1
