"""One request has one caller, known by one key, within that key's bounds."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.access import digest_of, hash_text, identify, key_from, permit, permit_model, printable, secret_from
from relay.domain.errors import AddressNotAllowed, BadCredentials, ClientError, ExpiredKey, InvalidKey, MissingKey, ModelNotAllowed
from tests.support.builders import KEY, principal

TODAY = date(2026, 11, 24)


# --- the one credential of a request


@pytest.mark.parametrize(
    ("authorization", "x_api_key"),
    [
        ([f"Bearer {KEY}"], []),
        ([f"bearer {KEY}"], []),
        ([f"BEARER   {KEY}  "], []),
        ([f"  Bearer {KEY}"], []),
        ([], [KEY]),
        ([], [f" {KEY}\t"]),
        ([f"Bearer {KEY}"], [KEY]),
        ([f"Bearer {KEY}", f"Bearer {KEY}"], [KEY, KEY]),
        ([f"Bearer {KEY}"], [""]),
    ],
)
def test_a_key_is_taken_from_either_header(authorization: list[str], x_api_key: list[str]) -> None:
    assert secret_from(authorization, x_api_key) == KEY


@pytest.mark.parametrize(
    ("authorization", "x_api_key"),
    [
        ([], []),
        ([], [""]),
        ([], [" \t "]),
        ([""], []),
        (["Bearer"], []),
        (["Bearer "], []),
        ([KEY], []),
        (["Basic YWxpY2U6c2VjcmV0"], []),
        ([f"Token {KEY}"], []),
        ([f"Bearer\t{KEY}"], []),
        ([f"Bearer{KEY}"], []),
        (["Basic YWxpY2U6c2VjcmV0"], [KEY]),
        ([f"Bearer {KEY}", ""], []),
    ],
)
def test_no_key_or_another_scheme_is_a_missing_key(authorization: list[str], x_api_key: list[str]) -> None:
    with pytest.raises(MissingKey) as refused:
        secret_from(authorization, x_api_key)
    assert refused.value.status == 401
    assert "Bearer YOUR_KEY" in refused.value.message


@pytest.mark.parametrize(
    ("authorization", "x_api_key"),
    [
        ([f"Bearer {KEY}", "Bearer other"], []),
        ([f"Bearer {KEY}"], ["other"]),
        ([], [KEY, "other"]),
        ([], [KEY, KEY.upper()]),
    ],
)
def test_two_keys_are_refused_whichever_is_right(authorization: list[str], x_api_key: list[str]) -> None:
    with pytest.raises(BadCredentials) as refused:
        secret_from(authorization, x_api_key)
    assert refused.value.status == 400
    assert "other" not in refused.value.message


ANY_TEXT = st.text(st.characters(), max_size=30)


@given(st.lists(ANY_TEXT, max_size=3), st.lists(ANY_TEXT, max_size=3))
def test_any_headers_give_one_key_or_a_client_error(authorization: list[str], x_api_key: list[str]) -> None:
    try:
        secret = secret_from(authorization, x_api_key)
    except ClientError:
        return
    assert secret
    with pytest.raises(InvalidKey):
        identify(secret, {digest_of(KEY): principal()})


# --- who it is


def test_a_key_finds_its_holder() -> None:
    alice, bob = principal(), principal("sk-bob")
    assert identify(KEY, {alice.digest: alice, bob.digest: bob}) is alice


@pytest.mark.parametrize(
    "secret", ["", "sk-", KEY[:-1], KEY + "x", KEY.upper(), f" {KEY}", hash_text(digest_of(KEY)), digest_of(KEY).hex(), "x" * 10**6]
)
def test_nothing_but_the_key_is_the_key(secret: str) -> None:
    with pytest.raises(InvalidKey) as refused:
        identify(secret, {digest_of(KEY): principal()})
    assert refused.value.message == "Incorrect API key provided."


@pytest.mark.parametrize("secret", ["ключ", "é", "\x00", "😀", chr(0xD800), chr(0xDCFF), chr(0xDFFF) + chr(0xD800), chr(0xDCFF) * 512])
def test_a_key_of_strange_characters_is_wrong_and_never_raises(secret: str) -> None:
    with pytest.raises(InvalidKey):
        identify(secret, {digest_of(KEY): principal()})


@given(ANY_TEXT, ANY_TEXT)
def test_different_keys_have_different_digests(one: str, other: str) -> None:
    assert (digest_of(one) == digest_of(other)) is (one == other)


def test_a_key_that_is_switched_off_is_an_unknown_key() -> None:
    off = principal(enabled=False)
    with pytest.raises(InvalidKey) as refused:
        identify(KEY, {off.digest: off})
    assert refused.value.message == "Incorrect API key provided."


class Untouchable(bytes):
    """Bytes that must not be compared but in constant time."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError

    __ne__ = __eq__
    __hash__ = bytes.__hash__


def test_what_was_found_is_compared_once_more_in_constant_time() -> None:
    alice = replace(principal(), digest=Untouchable(digest_of(KEY)))
    assert identify(KEY, {digest_of(KEY): alice}) is alice
    with pytest.raises(InvalidKey):  # a table that finds the wrong one
        identify(KEY, {digest_of(KEY): principal("sk-bob")})


def test_the_digest_is_the_sha_256_of_the_key() -> None:
    assert hash_text(digest_of("abc")) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_new_key_is_its_random_bytes_in_hexadecimal() -> None:
    assert key_from(bytes(range(32))) == "sk-000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"


def test_a_principal_does_not_hold_its_key() -> None:
    assert KEY not in repr(principal())


# --- where and when


@pytest.mark.parametrize("expires", [None, TODAY, date(2026, 11, 25), date.max])
def test_a_key_is_good_up_to_and_with_its_last_day(expires: date | None) -> None:
    permit(principal(expires=expires), "", TODAY)


@pytest.mark.parametrize("expires", [date(2026, 11, 23), date.min])
def test_a_key_is_expired_on_the_day_after(expires: date) -> None:
    with pytest.raises(ExpiredKey) as refused:
        permit(principal(expires=expires), "", TODAY)
    assert refused.value.status == 401
    assert expires.isoformat() in refused.value.message


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.1", ("192.0.2.0/24",)),
        ("192.0.2.1", ("10.0.0.0/8", "192.0.2.1/32")),
        ("192.0.2.1", ("0.0.0.0/0",)),
        ("::ffff:192.0.2.1", ("192.0.2.0/24",)),
        ("::FFFF:c000:201", ("192.0.2.0/24",)),
        ("::ffff:192.0.2.1", ("::ffff:192.0.2.0/120",)),
        ("::ffff:192.0.2.1", ("::/0",)),
        ("2001:db8::1", ("2001:db8::/32",)),
        ("2001:DB8:0:0::1", ("2001:db8::1/128",)),
        ("fe80::1%eth0", ("fe80::/10",)),
        ("", None),
        ("nonsense", None),
    ],
)
def test_a_key_may_be_used_from_its_networks(address: str, networks: tuple[str, ...] | None) -> None:
    permit(principal(networks=networks), address, TODAY)


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.3.1", ("192.0.2.0/24",)),
        ("::ffff:192.0.3.1", ("192.0.2.0/24",)),
        ("::192.0.2.1", ("192.0.2.0/24",)),
        ("2001:db8::1", ("0.0.0.0/0",)),
        ("192.0.2.1", ("::/0",)),
        ("192.0.2.1", ()),
        ("", ("0.0.0.0/0", "::/0")),
        ("nonsense", ("0.0.0.0/0", "::/0")),
        ("192.0.2.1 ", ("192.0.2.0/24",)),
        ("192.0.2.01", ("192.0.2.0/24",)),
        ("192.0.2.1:80", ("192.0.2.0/24",)),
        ("3221225985", ("192.0.2.0/24",)),
        ("192.0.2.1, 10.0.0.1", ("0.0.0.0/0",)),
        ("[2001:db8::1]", ("::/0",)),
        ("x" * 10**5, ("0.0.0.0/0",)),
    ],
)
def test_and_from_nowhere_else(address: str, networks: tuple[str, ...]) -> None:
    with pytest.raises(AddressNotAllowed) as refused:
        permit(principal(networks=networks), address, TODAY)
    assert refused.value.status == 403


# --- what for


def test_a_key_may_use_its_models_and_all_if_none_are_named() -> None:
    permit_model(principal(), "anything")
    permit_model(principal(models={"a", "b"}), "b")
    for wrong in ("c", "A", "a ", ""):
        with pytest.raises(ModelNotAllowed) as refused:
            permit_model(principal(models={"a", "b"}), wrong)
        assert (refused.value.status, refused.value.param) == (403, "model")
    with pytest.raises(ModelNotAllowed):
        permit_model(principal(models=set()), "a")


@given(ANY_TEXT.map(lambda text: text * 20))
def test_a_callers_text_in_a_message_is_short_and_on_one_line(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= 100
    assert shown.isprintable()
    shown.encode()
