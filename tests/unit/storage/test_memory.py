"""Keys and channels are what the settings say; the ledger ends every hold once, whatever the order."""

import asyncio
from datetime import date
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from relay.domain.access import digest_of, hash_text, identify
from relay.domain.channel import Origin
from relay.domain.routing import route
from relay.domain.usage import Usage
from relay.storage.memory import MemoryChannels, MemoryKeys, MemoryLedger
from tests.support.builders import KEY
from tests.support.settings import settings

# --- keys


def test_a_key_of_the_file_is_found_by_the_key_itself() -> None:
    file = settings(
        keys=(
            {"name": "alice", "hash": hash_text(digest_of(KEY)), "models": ["m"], "allow_ips": ["10.0.0.0/8"], "expires": "2027-12-31"},
            {"name": "bob", "hash": hash_text(digest_of("sk-bob")), "enabled": False},
        )
    )
    principals = MemoryKeys(file.key).principals()
    alice = identify(KEY, principals)
    assert (alice.name, alice.models, alice.networks, alice.expires, alice.enabled) == (
        "alice",
        frozenset({"m"}),
        (ip_network("10.0.0.0/8"),),
        date(2027, 12, 31),
        True,
    )
    bob = principals[digest_of("sk-bob")]
    assert (bob.name, bob.models, bob.networks, bob.expires, bob.enabled) == ("bob", None, None, None, False)


def test_a_key_without_models_is_not_a_key_for_all_models() -> None:
    file = settings(keys=({"models": []},))
    assert [principal.models for principal in MemoryKeys(file.key).principals().values()] == [frozenset()]


# --- channels


def test_a_channel_becomes_one_candidate_for_each_of_its_credentials() -> None:
    file = settings(channels=({"keys": [SecretStr("sk-1"), SecretStr("sk-2")], "models": {"public": "theirs"}},))
    table = MemoryChannels(file).table()
    found = list(route(table, "public", 0))
    assert [(each.credential.label, each.credential.secret) for each in found if each.credential] == [
        ("main#1", "sk-1"),
        ("main#2", "sk-2"),
    ]
    assert found[0].channel == found[1].channel
    assert found[0].channel.models == {"public": "theirs"}
    assert table.models == ("public",)


def test_a_channel_without_credentials_is_one_candidate() -> None:
    found = list(route(MemoryChannels(settings()).table(), "m", 0))
    assert [each.credential for each in found] == [None]


@pytest.mark.parametrize(
    ("base_url", "origin", "authority", "path"),
    [
        ("https://a.example/v1", Origin(tls=True, host="a.example", port=443), "a.example", "/v1"),
        ("https://a.example", Origin(tls=True, host="a.example", port=443), "a.example", ""),
        ("https://a.example/", Origin(tls=True, host="a.example", port=443), "a.example", ""),
        ("https://a.example:8443/api/v3/", Origin(tls=True, host="a.example", port=8443), "a.example:8443", "/api/v3"),
        ("http://127.0.0.1:8080/v1", Origin(tls=False, host="127.0.0.1", port=8080), "127.0.0.1:8080", "/v1"),
        ("http://localhost", Origin(tls=False, host="localhost", port=80), "localhost", ""),
        ("http://[::1]:9000/v1", Origin(tls=False, host="::1", port=9000), "[::1]:9000", "/v1"),
    ],
)
def test_a_base_url_says_where_to_connect_and_what_to_ask_for(base_url: str, origin: Origin, authority: str, path: str) -> None:
    (found,) = route(MemoryChannels(settings(channels=({"base_url": base_url},))).table(), "m", 0)
    assert (found.channel.origin, found.channel.authority, found.channel.path) == (origin, authority, path)


def test_a_channels_own_patience_goes_before_the_servers() -> None:
    file = settings(
        server={"first_byte_timeout": "7s", "idle_timeout": "8s"},
        channels=({"priority": 3}, {"name": "other", "first_byte_timeout": "1s", "idle_timeout": "2s", "ca_file": "/ca.pem"}),
    )
    main, other = (each.channel for each in route(MemoryChannels(file).table(), "m", 0))
    assert (main.name, main.priority, main.first_byte_s, main.idle_s, main.origin.ca_file) == ("main", 3, 7, 8, None)
    assert (other.name, other.priority, other.first_byte_s, other.idle_s, other.origin.ca_file) == ("other", 0, 1, 2, "/ca.pem")


# --- the ledger

USAGES = st.one_of(st.none(), st.builds(Usage, *[st.integers(0, 1000)] * 4))
EXCHANGES = st.lists(
    st.tuples(st.sampled_from(["alice", "bob"]), st.lists(USAGES, min_size=1, max_size=3), st.integers(0, 3), st.integers(0, 3))
)


def total(usages: list[Usage | None]) -> Usage:
    known = [usage for usage in usages if usage is not None]
    return Usage(
        sum(usage.prompt for usage in known),
        sum(usage.completion for usage in known),
        sum(usage.cached for usage in known),
        sum(usage.reasoning for usage in known),
    )


@given(EXCHANGES)
def test_whatever_the_order_every_hold_ends_and_what_was_used_counts_once(
    exchanges: list[tuple[str, list[Usage | None], int, int]],
) -> None:
    ledger = MemoryLedger()
    under_way = 0

    async def one(number: int, key: str, settlements: list[Usage | None], before: int, between: int) -> None:
        nonlocal under_way
        for _ in range(before):
            await asyncio.sleep(0)
        reservation = await ledger.reserve(f"request-{number}", key)
        under_way += 1
        assert ledger.held == under_way
        for again, usage in enumerate(settlements):
            for _ in range(between):
                await asyncio.sleep(0)
            await ledger.settle(reservation, usage)
            under_way -= not again
            assert ledger.held == under_way

    async def everything() -> None:
        await asyncio.gather(*(one(number, *exchange) for number, exchange in enumerate(exchanges)))

    asyncio.run(everything())
    assert ledger.held == 0
    for key in ("alice", "bob"):
        assert ledger.spent(key) == total([settlements[0] for holder, settlements, _, _ in exchanges if holder == key])


async def test_settling_again_changes_nothing_even_with_another_usage() -> None:
    ledger = MemoryLedger()
    first, other = await ledger.reserve("a", "alice"), await ledger.reserve("b", "alice")
    await ledger.settle(first, None)
    await ledger.settle(first, Usage(1, 1))
    assert (ledger.held, ledger.spent("alice")) == (1, Usage(0, 0))
    await ledger.settle(other, Usage(5, 6, 1, 2))
    await ledger.settle(other, Usage(5, 6, 1, 2))
    assert (ledger.held, ledger.spent("alice")) == (0, Usage(5, 6, 1, 2))


async def test_a_stranger_has_used_nothing() -> None:
    assert MemoryLedger().spent("nobody") == Usage(0, 0)
