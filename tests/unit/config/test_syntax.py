"""The one slip that keeps a text from being TOML. What each of them is called is in tests/config_cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.syntax import Slip, parse


def slip(text: str) -> Slip:
    found = parse(text)
    assert isinstance(found, Slip)
    return found


def test_toml_is_read() -> None:
    assert parse('[a]\nb = "c"\n') == {"a": {"b": "c"}}
    assert parse("") == {}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("\na = 5m\n", 2, "unit"),
        ("a = 5 6\n", 1, "follows the value"),
        ("a = yes\n", 1, "word"),
        ("a = b\n", 1, "no value"),
        ("a =\n", 1, "no value"),
        ("a\n", 1, "without its value"),
        ("a: 1\n", 1, "without its value"),
        ("= 1\n", 1, "neither a setting"),
        ("a = {b = 1, ä = 2}\n", 1, "name that can't be read"),
        ('a = "b\nc = 1\n', 1, "closing quote"),
        ("\n\na = 'b\nc = 1\n", 3, "closing ' is missing"),
        ("a = 'b\nc = 'd'\n", 1, "closing quote"),
        ('a = """b\n\n', 1, "closing quotes are missing, and the file ends"),
        ("\na = '''b\n\n", 2, "closing ''' is missing"),
        ("a = 1 # \x07\n", 1, "control character"),
        ("a = [1 2]\n", 1, "list whose end"),
        ("a = [1,\n 2,\n", 2, "the file ends before"),
        ("a = {b = 1\n}\n", 1, "inline table whose end"),
        ("[a\n", 1, "heading"),
        ('a = "\\d"\n', 1, "backslash"),
        ('a = "\\ud800"\n', 1, "names no character"),
        ('a = "\\xfg"\n', 1, "backslash"),
        ('a = "b\x07"\n', 1, "control character"),
        ("a = 2027-02-30\n", 1, "doesn't exist"),
        ("a = 1\nb.c = 2\na = 3\n", 3, "a is written twice"),
        ("a = {b = 1, b = 2}\n", 1, "a.b is written twice"),
        ("[a]\nb = 1\n[a]\n", 3, "a is opened twice"),
        ("a = []\n[[a]]\n", 2, "a is opened twice"),
        ("[a]\nb.c = 1\n[a.b]\n", 3, "a.b is opened twice"),
    ],
    ids=str,
)
def test_a_slip_is_named_with_its_line(text: str, line: int, what: str) -> None:
    found = slip(text)
    assert found.line == line
    assert what in found.what
    assert found.what.startswith("not TOML: ")


def test_a_list_is_not_taken_for_what_stands_behind_it() -> None:
    assert slip("a = true 5m\n").what == "not TOML: something follows the value"


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a = " + "[" * 5000 + "]" * 5000, "a = " + "9" * 5000], ids=["open", "closed", "digits"]
)
def test_a_text_that_would_exhaust_the_parser_is_refused(text: str) -> None:
    assert isinstance(parse(text), Slip)


@given(st.text(alphabet=st.sampled_from("ab1.,=[]{}\"'#\\\n\r\x00 ")) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    found = parse(text)
    if isinstance(found, Slip):
        assert found.line is None or 1 <= found.line <= text.count("\n") + 1


@given(st.sampled_from(["a = {}5m\n", "a = {}\n", 'a = "{}\n', "a = '{}\n", "a = [{}\n", "{}\n", "a = {{b = {}\n", "a = 1 {}\n"]))
def test_a_slip_never_tells_what_stands_there(text: str) -> None:
    found = slip(text.format("SECRET"))
    assert "SECRET" not in f"{found.what}{found.hint}"
