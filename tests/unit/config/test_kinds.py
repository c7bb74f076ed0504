"""What each kind of value takes and refuses. Numbers with a unit are in test_units.py."""

from datetime import UTC, date, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from relay.config import kinds

TAKEN: dict[str, list[object]] = {
    "Listen": [
        *("unix:run/relay.sock", "unix:/run/relay/relay.sock", "127.0.0.1:8101", "127.0.0.1:0", "[::1]:8101", "*:8101", "localhost:8101"),
    ],
    "PublicListen": ["0.0.0.0:443", "*:80", "[::]:443"],
    "Domain": ["llm.example.com", "localhost", "192.0.2.7"],
    "Origin": ["https://chat.example.com", "http://127.0.0.1:3000", "http://[::1]:3000"],
    "BaseUrl": ["https://api.openai.com/v1", "http://one_service:8000", "http://[2001:db8::1]:8000/api/v1", "https://a.b/v1/%C3%A4"],
    "Name": ["glm-4.free_2", "a", "a" * 64],
    "Model": ["vendor/model:free@2", "a" * 256],
    "KeyHash": ["sha256:" + "0f" * 32],
    "File": ["/etc/ssl/ca file.pem", "ä.pem"],
    "Count": [3, -3],
    "Flag": [False, True],
}

REFUSED: dict[str, list[object]] = {
    "Listen": [
        *("unix:", "unix:a b", "8101", ":8101", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:٨٠", "[::1]", "[1:2]:80", "::1:80", "a;b:80"),
        *("a b:80", "a*b:80", "256.1.1.1:80", "1.2.3:80", "http://a:80", "-a:80", "a..b:80", "", 8101, None, b"a:80"),
    ],
    "PublicListen": ["unix:/run/edge.sock", "127.0.0.1:0", "127.0.0.1", 443],
    "Domain": ["", "a..b", "-a.b", "a_b.c", "a.b.", "*.example.com", "https://a", "a:80", "例え.jp", "a" * 64 + ".com", 5, None],
    "Origin": ["*", "null", "a.b", "https://a.b/", "https://a.b/c", "https://u@a.b", "https://a.b?c", "ftp://a.b", "https://", 5],
    "Subnet": ["10.0.0.1/8", "10.0.0.0/33", "a.b", "", "10.0.0.0/8/8", "fe80::1%eth0/64", 10, True, None],
    "BaseUrl": [
        *("a.b/v1", "ftp://a.b", "https://", "https:///v1", "https://u:p@a.b/v1", "https://a.b?c", "https://a.b/v1#c", "https://a.b/v 1"),
        *("https://a.b:0/v1", "https://a.b:65536", "https://[::1/v1", "https://[1:2]/v1", "https://a..b/v1", "https://ä.b", 5),
    ],
    "Name": ["", "a b", "-a", "a-", "a/b", "ä", "a" * 65, "a\n", 5, None],
    "Model": ["", "a b", "a\n", "ä", "a" * 257, 5, None],
    "ModelNames": [[], {}, "m", 5, None, [5], ["a b"], {"a b": "m"}, {"m": "a b"}, {"m": 5}, [["m"]]],
    "KeyHash": ["", "sha256:", "sha256:" + "0F" * 32, "sha256:" + "0f" * 33, "0f" * 32, "sk-secret", 5],
    "Day": ["", "2027-1-1", "2027-02-30", "20271231", 20271231, 0, datetime(2027, 12, 31, tzinfo=UTC), True, None],
    "File": ["", "a\x00b", "a\nb", 5, None],
    "Count": ["3", 3.0, True, None],
    "Flag": ["true", "yes", 1, 0, None],
    "Reference": [5, None, ["env:A"]],
}


def read(kind: str, value: object) -> object:
    adapter: TypeAdapter[Any] = TypeAdapter(getattr(kinds, kind))
    return adapter.validate_python(value)


def complaints(kind: str, value: object) -> list[str]:
    try:
        read(kind, value)
    except ValidationError as refused:
        return [error["msg"] for error in refused.errors()]
    return []


@pytest.mark.parametrize("kind", TAKEN)
def test_a_good_value_is_taken_as_it_is(kind: str) -> None:
    assert [read(kind, value) for value in TAKEN[kind]] == TAKEN[kind]


@pytest.mark.parametrize("kind", REFUSED)
def test_a_bad_value_is_refused(kind: str) -> None:
    assert [value for value in REFUSED[kind] if not complaints(kind, value)] == []


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_does_not_repeat_the_value(kind: str) -> None:
    said = [
        complaint for secret in ("sk SECRET\n", ["sk SECRET\n"], {"sk SECRET\n": "sk SECRET\n"}) for complaint in complaints(kind, secret)
    ]
    assert "SECRET" not in "".join(said)


def test_a_host_name_is_kept_in_small_letters() -> None:
    assert read("Domain", "LLM.Example.COM") == "llm.example.com"


def test_a_base_url_loses_its_last_slash() -> None:
    assert read("BaseUrl", "https://api.openai.com/v1/") == "https://api.openai.com/v1"


def test_a_network_may_be_one_address() -> None:
    assert read("Subnet", "192.0.2.7") == ip_network("192.0.2.7/32")
    assert read("Subnet", "2001:db8::/32") == ip_network("2001:db8::/32")
    assert read("Subnet", ip_network("10.0.0.0/8")) == ip_network("10.0.0.0/8")


def test_a_network_whose_address_goes_on_behind_the_prefix_is_refused_with_the_one_that_was_meant() -> None:
    assert complaints("Subnet", "10.0.0.1/8")[0].endswith("did you mean '10.0.0.0/8'")


def test_a_list_of_models_means_the_same_name_on_both_sides() -> None:
    assert read("ModelNames", ["a", "b"]) == {"a": "a", "b": "b"}
    assert read("ModelNames", {"ours": "theirs"}) == {"ours": "theirs"}


def test_a_date_may_stand_in_quotes() -> None:
    assert read("Day", "2027-12-31") == read("Day", date(2027, 12, 31)) == date(2027, 12, 31)
