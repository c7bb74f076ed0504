"""A secret does not get through, in whatever form it stands in a text; other words do."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.access import key_from
from relay.telemetry.redaction import LONGEST_TEXT, Redactor, masked

KEY = "sk-ab0123456789abcdefyz"
redact = Redactor()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {KEY} was refused", "key sk-ab..yz was refused"),
        (f"Authorization: Bearer {KEY}", "Authorization: Bearer sk-ab..yz"),
        (f"bearer   {KEY}, and more", "bearer sk-ab..yz and more"),
        ("Bearer abcdefghijklmnopqrst", "Bearer ab..st"),
        ("Bearer short", "Bearer ***"),
        (f"curl -H 'Authorization: Bearer {KEY}' http://x", "curl -H 'Authorization: Bearer sk-ab..yz ***"),
        ("x-api-key: anything at all\r\nHost: x", "x-api-key: ***\r\nHost: x"),
        ("Authorization: Basic dXNlcjpwYXNz\nHost: x", "Authorization: ***\nHost: x"),
        ("{'Cookie': 'a=\"b\"; c=d', 'Host': 'x'}", "{'Cookie': ***"),
        ("sk-12345678", "sk-***"),
        ("sk-1234", "sk-1234"),
        (f"https://x/?key={KEY}&a=b", "https://x/?key=sk-ab..yz&a=b"),
        (f"Bearer%20{KEY}", "Bearer sk-ab..yz"),
    ],
)
def test_what_looks_like_a_secret_is_shown_in_short(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "disk-pressure-high",
        "the task-management board",
        "an ask-me-anything",
        "The Authorization header is missing",
        "sk-ab..yz",
        "risk-free",
        "",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert redact(text) == text


@given(st.binary(min_size=32, max_size=32), st.text(max_size=30), st.text(max_size=30))
def test_a_key_of_ours_never_gets_through_whatever_stands_around_it(random: bytes, before: str, after: str) -> None:
    key = key_from(random)
    assert key not in redact(before + key + after)
    assert key[12:40] not in redact(before + key + after)


@given(st.from_regex(r"\Ask-[A-Za-z0-9_-]{8,60}\Z"), st.sampled_from(["", " ", "\n", '"', "'", "=", ":", "b'", "(", "Bearer "]))
def test_whatever_looks_like_a_key_never_gets_through(key: str, before: str) -> None:
    assert key not in redact(f"{before}{key}")


secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40)


@given(secrets, st.text(max_size=20), st.text(max_size=20), st.sampled_from([str, repr, json.dumps, lambda text: quote(text, safe="")]))
def test_a_registered_secret_never_gets_through_in_any_writing(secret: str, before: str, after: str, write: object) -> None:
    assert callable(write)
    text = write(before + secret + after)
    inner = write(secret).strip("'\"")
    assert inner not in Redactor([secret])(text) or inner in masked(secret)


def test_of_two_secrets_one_within_the_other_the_longer_goes_first() -> None:
    assert Redactor(["secret-one", "secret-one-and-more"])("secret-one-and-more") == "se..re"


def test_a_value_too_short_to_be_a_secret_makes_no_holes_in_words() -> None:
    assert Redactor(["test"])("the latest test") == "the latest test"


def test_a_very_long_text_is_cut_and_not_inside_of_a_key() -> None:
    for shift in range(0, 80, 7):
        text = "x" * (LONGEST_TEXT - 40 + shift) + " " + key_from(bytes(32)) + " end"
        shown = redact(text)
        assert len(shown) < LONGEST_TEXT
        assert "sk-0" not in shown


def test_a_secret_is_shown_by_its_ends_if_it_is_long_enough() -> None:
    assert [masked(secret) for secret in (KEY, "sk-short", "a" * 15, "abcdefghijklmnop")] == ["sk-ab..yz", "sk-***", "***", "ab..op"]
