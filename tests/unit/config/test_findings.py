"""How findings are written: one line each, whatever is in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.findings import ConfigError, Notice, Problem, Where, did_you_mean, dotted, printable, remark


def test_a_problem_is_one_line_with_file_line_setting_and_next_step() -> None:
    found = Problem("relay.toml", 7, "channel.0.type", 'must be "openai"', "did you mean 'openai'")
    assert str(found) == "relay.toml:7: channel.0.type: must be \"openai\"; did you mean 'openai'"


def test_what_is_not_known_is_left_out() -> None:
    assert str(Problem("relay.toml", None, "", "there is no such file")) == "relay.toml: there is no such file"
    assert str(Notice("environment", None, "RELAY_SERVER_X", "has no effect")) == "environment: RELAY_SERVER_X: has no effect"


def test_a_finding_is_given_to_programs_as_plain_values() -> None:
    expected = {"kind": "notice", "file": "relay.toml", "line": 7, "path": "key", "what": "odd", "hint": None}
    assert Notice("relay.toml", 7, "key", "odd").as_dict() == expected
    assert Problem("relay.toml", 7, "key", "odd").as_dict() == {**expected, "kind": "problem"}


def test_an_error_has_every_problem_on_its_own_line() -> None:
    error = ConfigError([Problem("a", 1, "b", "c"), Problem("a", 2, "d", "e")], [Notice("a", 3, "f", "g")])
    assert str(error) == "a:1: b: c\na:2: d: e"
    assert (len(error.problems), len(error.notices)) == (2, 1)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (("server", "drain"), "server.drain"),
        (("channel", 1, "models", "a b"), 'channel.1.models."a b"'),
        (("a.b", "1", 1), '"a.b".1.1'),
        (("é", ""), '"\\u00e9".""'),
        ((), ""),
    ],
    ids=str,
)
def test_a_place_is_written_as_in_toml(where: Where, text: str) -> None:
    assert dotted(where) == text


@given(st.lists(st.text() | st.integers(0, 100)))
def test_a_place_is_one_printable_line(parts: list[str | int]) -> None:
    assert dotted(tuple(parts)).isprintable()


@given(st.text(st.characters()))
def test_a_name_is_one_printable_line_that_any_terminal_can_show(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()


def test_a_long_name_is_cut_and_a_long_path_of_a_file_is_not() -> None:
    assert str(Problem("x" * 1000, 1, "", "bad")) == f"{'x' * 1000}:1: bad"
    assert len(json.loads(dotted(("é" * 1000,)))) == 80


def test_the_next_step_of_a_sentence_comes_after_the_semicolon() -> None:
    assert (remark(("a",), "bad; write b; or c").what, remark(("a",), "bad; write b; or c").hint) == ("bad", "write b; or c")
    assert remark(("a",), "bad").hint is None


@pytest.mark.parametrize(
    ("word", "meant"), [("drian", "drain"), ("Drain", "drain"), ("log-level", "log_level"), ("colour", None), ("", None)]
)
def test_a_name_that_is_close_is_suggested(word: str, meant: str | None) -> None:
    assert did_you_mean(word, ["drain", "log_level", "tries"]) == (f"did you mean '{meant}'" if meant else None)
