"""Durations, sizes and rates."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.units import MAX_RATE, MAX_S, Rate, duration_text, rate, seconds, size_bytes, size_text


@pytest.mark.parametrize(
    ("written", "expected_s"),
    [("250ms", 0.25), ("15s", 15), ("5m", 300), ("1h", 3600), ("2d", 172800), ("1.5s", 1.5), (" 5m ", 300), (90, 90), (0.5, 0.5), (0, 0)],
)
def test_a_duration_is_read_in_seconds(written: object, expected_s: float) -> None:
    assert seconds(written) == expected_s


@pytest.mark.parametrize(
    "written",
    [
        "",
        "5",
        "5 m",
        "m",
        "-5m",
        "5M",
        "1h30m",
        "1e3s",
        "\N{ARABIC-INDIC DIGIT FIVE}m",
        "5m\n5m",
        ".5s",
        True,
        None,
        [],
        math.nan,
        math.inf,
        10**400,
        "9" * 400 + "s",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match=re.escape("not a duration; write for example")):
        seconds(written)


@pytest.mark.parametrize("written", [-1, -0.5])
def test_a_negative_duration_is_refused_as_such(written: float) -> None:
    with pytest.raises(ValueError, match="can't be negative"):
        seconds(written)


@given(st.floats(min_value=0, max_value=MAX_S))
def test_any_duration_is_read_back_as_it_was_written(value_s: float) -> None:
    assert seconds(duration_text(value_s)) == value_s


@given(st.integers(min_value=0, max_value=10**9), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_duration_in_whole_units_is_read_back_as_it_was_written(count: int, unit: str) -> None:
    value_s = seconds(f"{count}{unit}")
    assert seconds(duration_text(value_s)) == value_s


@pytest.mark.parametrize(
    ("value_s", "text"),
    [(0, "0s"), (0.25, "250ms"), (1.5, "1500ms"), (15, "15s"), (90, "90s"), (300, "5m"), (86400, "1d"), (0.0005, "0.0005s")],
)
def test_a_duration_is_written_in_its_largest_whole_unit(value_s: float, text: str) -> None:
    assert duration_text(value_s) == text


@pytest.mark.parametrize(
    ("written", "expected"), [("64k", 65536), ("20m", 20 << 20), ("1g", 1 << 30), ("1G", 1 << 30), ("5kb", 5120), ("7", 7), (8, 8)]
)
def test_a_size_is_read_in_bytes(written: object, expected: int) -> None:
    assert size_bytes(written) == expected


@pytest.mark.parametrize("written", ["", "m", "1.5m", "-1", -2, "20 m", "20mib", 1.5, True, None, "9" * 5000])
def test_what_is_no_size_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match=re.escape("not a size; write for example")):
        size_bytes(written)


@given(st.integers(min_value=0, max_value=1 << 45))
def test_any_size_is_read_back_as_it_was_written(value: int) -> None:
    assert size_bytes(size_text(value)) == value


@given(st.integers(min_value=1, max_value=MAX_RATE), st.sampled_from("sm"))
def test_any_rate_is_read_back_as_it_was_written(count: int, per: str) -> None:
    assert rate(str(Rate(count, per))) == Rate(count, per)
    assert rate(Rate(count, per)) == Rate(count, per)


@pytest.mark.parametrize("written", ["", "10", "0/s", "10/h", "-1/s", "10r/s", "1.5/s", f"{MAX_RATE + 1}/s", 11, None, ["10/s"]])
def test_what_is_no_rate_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match=re.escape("not a rate; write for example")):
        rate(written)
