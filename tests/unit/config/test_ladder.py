"""Each inequality across the hops: what breaks it, and that nothing else is said then."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config import ladder as numbers
from relay.config.ladder import RUNGS, broken_rungs, ladder
from relay.config.schema import Settings
from tests.support.settings import settings

BROKEN = [
    ("edge.read_timeout", "the edge cuts", {"server": {"idle_timeout": "10m"}, "edge": {"read_timeout": "10m"}}),
    ("edge.read_timeout", "the edge cuts", {"channels": ({}, {"name": "slow", "idle_timeout": "15m"})}),
    (
        "edge.read_timeout",
        "one late ping",
        {"server": {"ping_interval": "50s", "commit_after": "1s", "tries": 1}, "edge": {"read_timeout": "149s"}},
    ),
    (
        "edge.read_timeout",
        "before its first ping",
        {"server": {"ping_interval": "20s", "commit_after": "2m", "tries": 1}, "edge": {"read_timeout": "140s"}},
    ),
    ("edge.read_timeout", "the edge's 504", {"server": {"connect_timeout": "5s", "tries": 1}, "edge": {"read_timeout": "125s"}}),
    ("edge.read_timeout", "the edge's 504", {"server": {"tries": 10}}),
    ("edge.read_timeout", "the edge's 504", {"channels": ({"first_byte_timeout": "10m"},)}),
    ("server.total_timeout", "never comes to pass", {"server": {"total_timeout": "2m"}}),
    ("server.ping_interval", "no ping", {"server": {"ping_interval": "15s", "idle_timeout": "15s"}}),
]


@pytest.mark.parametrize(("setting", "why", "tables"), BROKEN)
def test_a_broken_rung_names_the_setting_to_change(setting: str, why: str, tables: dict[str, dict[str, object]]) -> None:
    ((blamed, complaint),) = broken_rungs(settings(**tables))  # type: ignore[arg-type]
    assert blamed == setting
    assert why in complaint


def test_every_rung_is_broken_by_one_of_these() -> None:
    assert {rung.why for rung in RUNGS if not any(why in rung.why for _, why, _ in BROKEN)} == set()


@pytest.mark.parametrize(
    ("server", "edge"),
    [
        ({}, {"read_timeout": "121s", "body_limit": "1k"}),
        ({"connect_timeout": "1ms", "first_byte_timeout": "3m"}, {"read_timeout": "180002ms"}),
        ({"idle_timeout": "30m", "total_timeout": "31m"}, {"read_timeout": "31m"}),
    ],
)
def test_a_hair_is_enough(server: dict[str, object], edge: dict[str, object]) -> None:
    server = {"connect_timeout": "500ms", "tries": 1, **server}
    assert list(broken_rungs(settings(server, edge))) == []


def test_a_complaint_tells_the_number_to_pass() -> None:
    ((_, complaint),) = broken_rungs(settings({"total_timeout": "2m"}))
    assert complaint.startswith("must be longer than the longest `idle_timeout` of server and channels (2m), else ")


def test_a_quicker_channel_does_not_shorten_the_ladder() -> None:
    at = ladder(settings({"idle_timeout": "2m"}, channels=({"idle_timeout": "5s", "first_byte_timeout": "5s"},)))
    assert (at.relay_idle_s, at.relay_first_byte_s) == (120.0, 120.0)


def test_the_numbers_that_no_setting_changes_agree() -> None:
    assert numbers.EDGE_TO_RELAY_KEEPALIVE_S < numbers.RELAY_KEEPALIVE_S
    assert numbers.EDGE_HEADER_LIMIT < numbers.RELAY_HEADER_LIMIT
    assert numbers.EDGE_HEADERS < numbers.RELAY_HEADERS


@given(drain_s=st.integers(0, 86400), total_s=st.integers(1, 86400), limit=st.integers(1024, 1 << 30))
def test_what_follows_from_the_settings_agrees_for_all_settings(drain_s: int, total_s: int, limit: int) -> None:
    at = ladder(Settings.model_validate({"server": {"drain": drain_s, "total_timeout": total_s}, "edge": {"body_limit": limit}}))
    assert at.stop_s > at.drain_s == drain_s
    assert at.edge_shutdown_s > at.stream_s == total_s
    assert at.body_limit == limit


def test_a_ladder_knows_only_seconds_and_bytes() -> None:
    assert {field.name.rpartition("_")[2] for field in dataclasses.fields(numbers.Ladder)} == {"s", "limit"}
