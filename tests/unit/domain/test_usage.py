"""Usage is what can be true of an upstream's counts, and nothing else is ever counted."""

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.usage import MOST_TOKENS, Usage, usage_from


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, Usage(3, 2)),
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8, 0)),
        ({"prompt_tokens": 8, "completion_tokens": 0}, Usage(8, 0)),
        ({"prompt_tokens": 0, "completion_tokens": 2}, Usage(0, 2)),
        ({"prompt_tokens": MOST_TOKENS, "completion_tokens": MOST_TOKENS}, Usage(MOST_TOKENS, MOST_TOKENS)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(9, 5, cached=4)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 3}}, Usage(9, 5, reasoning=3)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": None, "completion_tokens_details": []}, Usage(9, 5)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": None}}, Usage(9, 5)),
        (MappingProxyType({"prompt_tokens": 3, "completion_tokens": 2}), Usage(3, 2)),
    ],
)
def test_counts_are_read(value: object, expected: Usage) -> None:
    assert usage_from(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        5,
        {},
        {"prompt_tokens": None, "completion_tokens": 2},
        {"prompt_tokens": 3, "completion_tokens": None},
        {"completion_tokens": 2},
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": 3, "completion_tokens": -1},
        {"prompt_tokens": 10**18, "completion_tokens": 2},
        {"prompt_tokens": MOST_TOKENS + 1, "completion_tokens": 2},
        {"prompt_tokens": "3", "completion_tokens": "2"},
        {"prompt_tokens": 3.0, "completion_tokens": 2},
        {"prompt_tokens": float("nan"), "completion_tokens": 2},
        {"prompt_tokens": True, "completion_tokens": 2},
        {"prompt_tokens": [3], "completion_tokens": 2},
        {"input_tokens": 3, "output_tokens": 2},
    ],
)
def test_what_cannot_be_true_is_not_believed(value: object) -> None:
    assert usage_from(value) is None


def test_that_nothing_was_used_is_not_believed() -> None:
    assert usage_from({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}) is None


@pytest.mark.parametrize("part", [-1, 10**18, "4", 4.0, True, None])
def test_a_part_that_cannot_be_true_is_none(part: object) -> None:
    value = {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": part}}
    assert usage_from(value) == Usage(9, 5)


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.integers(0, 100), st.floats(), st.text(max_size=3))
DETAILS = st.one_of(ANYTHING, st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens"]), ANYTHING))
NAMES = ["prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"]


@given(st.one_of(ANYTHING, st.dictionaries(st.sampled_from(NAMES), st.one_of(ANYTHING, DETAILS))))
def test_whatever_is_believed_is_within_its_bounds(value: object) -> None:
    usage = usage_from(value)
    if usage is not None:
        assert 0 <= usage.cached <= usage.prompt <= MOST_TOKENS
        assert 0 <= usage.reasoning <= usage.completion <= MOST_TOKENS
        assert usage.prompt + usage.completion > 0
