"""Notices: what each is about, and what must not set it off."""

import pytest

from relay.config.advice import advice
from relay.config.findings import dotted
from relay.config.schema import Settings
from tests.support.settings import settings


def about(given: Settings) -> list[str]:
    return [dotted(remark.path) for remark in advice(given)]


def test_nothing_is_said_of_an_ordinary_file() -> None:
    assert about(settings()) == []


def test_a_file_without_channels_or_keys_is_noticed() -> None:
    assert about(Settings()) == ["channel", "key"]


def test_a_key_for_a_model_that_no_channel_serves_is_noticed_with_the_one_that_was_meant() -> None:
    given = settings(channels=({"models": ["gpt-5-mini"]},), keys=({"models": ["gpt-5-mini", "gpt5-mini"]},))
    (remark,) = advice(given)
    assert (remark.path, remark.hint) == (("key", 0, "models", 1), "did you mean 'gpt-5-mini'")


def test_a_key_that_may_use_no_model_is_noticed() -> None:
    assert about(settings(keys=({"models": []},))) == ["key.0.models"]


def test_without_a_channel_models_are_not_looked_for() -> None:
    assert about(settings(channels=(), keys=({"models": ["m"]},))) == ["channel"]


@pytest.mark.parametrize(
    ("url", "noticed"),
    [
        ("http://upstream.example/v1", True),
        ("http://1.1.1.1/v1", True),
        ("http://[2606:4700::1]/v1", True),
        ("https://upstream.example/v1", False),
        ("http://127.0.0.1:8000", False),
        ("http://192.168.1.2:10004/v1", False),
        ("http://100.64.0.1/v1", False),
        ("http://[fd00::1]/v1", False),
        ("http://localhost/v1", False),
        ("http://service:8000/v1", False),
        ("http://model.internal/v1", False),
    ],
)
def test_credentials_that_cross_the_internet_in_clear_are_noticed(url: str, noticed: bool) -> None:  # noqa: FBT001 - a column
    assert bool(about(settings(channels=({"base_url": url, "keys": ["sk"]},)))) == noticed
    assert about(settings(channels=({"base_url": url},))) == []


@pytest.mark.parametrize(
    ("edge", "noticed"),
    [
        ({"domain": "llm.example.com"}, True),
        ({"domain": "llm.example.com", "listen": "0.0.0.0:8080"}, True),
        ({"domain": "llm.example.com", "listen": "127.0.0.1:8080"}, False),
        ({"domain": "llm.example.com", "real_ip_from": ["10.0.0.0/8"]}, False),
        ({"domain": "llm.example.com", "tls": {"mode": "files", "certificate": "c", "key": "k"}}, False),
        ({"domain": "localhost", "listen": "0.0.0.0:8080"}, False),
    ],
    ids=str,
)
def test_callers_keys_that_arrive_in_clear_are_noticed(edge: dict[str, object], noticed: bool) -> None:  # noqa: FBT001 - a column
    assert about(settings(edge=edge)) == (["edge.domain"] if noticed else [])


@pytest.mark.parametrize("address", ["0.0.0.0:8101", "*:8101", "[::]:8101", "192.0.2.1:8101", "relay:8101"])
def test_a_listener_that_other_machines_reach_is_noticed(address: str) -> None:
    assert about(settings({"admin": address})) == ["server.admin"]
    assert about(settings({"listen": address})) == ["server.listen"]


@pytest.mark.parametrize("address", ["127.0.0.1:8101", "127.0.0.9:8101", "[::1]:8101", "localhost:8101", "unix:run/relay.sock"])
def test_a_listener_of_this_machine_is_not(address: str) -> None:
    assert about(settings({"admin": address})) == []
