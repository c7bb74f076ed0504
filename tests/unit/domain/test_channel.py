"""A channel's secret is shown nowhere and can't be anything but one word of a header."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.channel import Candidate, Channel, Credential, Origin
from tests.support.builders import UPSTREAM_SECRET, candidate, channel


def test_a_secret_is_in_no_text_of_what_holds_it() -> None:
    one = candidate()
    assert one.credential is not None
    for shown in (repr(one), str(one), f"{one.credential}", repr([one]), repr({"tried": one}), f"{one!s:>10}"):
        assert UPSTREAM_SECRET not in shown
        assert "main#1" in shown
    assert one.credential.secret == UPSTREAM_SECRET


@pytest.mark.parametrize(
    "secret",
    ["", " ", "x y", "a\r\nEvil: 1", "a\nb", "a\rb", "a\x00", "a\tb", "a\n", "\na", "ключ", "a\x7f", "a\x85b", "a\u2028b", "\ud800"],
)
def test_a_secret_that_could_become_another_header_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="the credential main#1 is empty or holds") as refused:
        Credential("main#1", secret)
    assert not secret.strip() or secret not in str(refused.value)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40))
def test_one_word_of_visible_ascii_is_a_secret(secret: str) -> None:
    assert Credential("main#1", secret).secret == secret


def test_what_travels_cannot_be_changed() -> None:
    values: list[Candidate | Channel | Origin | Credential] = [candidate(), channel(), channel().origin, Credential("main#1", "a")]
    for value in values:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, "other")


def test_connections_are_pooled_by_where_they_go() -> None:
    assert channel("a").origin == channel("b").origin
    assert hash(channel("a").origin) == hash(channel("b").origin)
    assert channel("a").origin != channel("a", host="other.example").origin
