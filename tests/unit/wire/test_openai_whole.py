"""An answer that is one document is an object, or it is no answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.usage import Usage
from relay.wire.openai_whole import read_whole, usage_of


def test_an_object_is_read_with_all_its_fields() -> None:
    answer = read_whole(b'{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2},"x":null}')
    assert answer == {"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, "x": None}
    assert usage_of(answer) == Usage(3, 2)


def test_embeddings_use_no_completion_tokens() -> None:
    answer = read_whole(b'{"object":"list","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}')
    assert answer is not None
    assert usage_of(answer) == Usage(8, 0)


def test_blank_lines_that_kept_the_connection_alive_are_passed_over() -> None:
    assert read_whole(b"\n\n\n  \r\n{}") == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"{",
        b'{"a":1',
        b"<html></html>",
        b'{"a":"\xff"}',
        b'{"a":NaN}',
        b"{}{}",
        b"\x1f\x8b\x08",
        b'data: {"choices":[]}\n\n',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_no_answer(body: bytes) -> None:
    assert read_whole(body) is None


@given(st.binary(max_size=100))
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    answer = read_whole(body)
    assert answer is None or usage_of(answer) is None


@pytest.mark.parametrize("usage", [None, [], "x", {"prompt_tokens": -1, "completion_tokens": 1}])
def test_a_usage_that_cannot_be_true_is_not_believed(usage: object) -> None:
    assert usage_of({"usage": usage}) is None
    assert usage_of({}) is None
