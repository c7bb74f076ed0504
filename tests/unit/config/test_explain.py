"""Refusals in plain words. Their full text is in tests/config_cases; here is what the cases can't show."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from relay.config.explain import explain
from relay.config.findings import Where
from relay.config.overlay import Unread
from relay.config.schema import Settings
from tests.support.settings import CHANNEL, KEY

JARGON = ("Input should", "valid", "dictionary", "integer", "string", "boolean", "tuple", "Extra", "instance", "Value error")


def said(tables: dict[str, Any]) -> dict[Where, str]:
    try:
        Settings.model_validate(tables)
    except ValidationError as refused:
        return {remark.path: f"{remark.what}; {remark.hint}" for remark in explain(refused, tables)}
    return {}


def test_nothing_is_said_of_good_tables() -> None:
    assert said({"channel": [CHANNEL], "key": [KEY]}) == {}


def test_a_misspelt_setting_is_not_missed_as_well() -> None:
    channel = {"nmae": "main", "baseurl": "https://a.b", "modells": ["m"]}
    assert list(said({"channel": [channel]})) == [("channel", 0, "nmae"), ("channel", 0, "baseurl"), ("channel", 0, "modells")]


@pytest.mark.parametrize(
    ("tables", "hint"),
    [
        ({"server": {"drian": 1}}, "did you mean 'drain'"),
        ({"edge": {"drain": 1}}, "it belongs in [server]"),
        ({"edge": {"listen_": 1}}, "did you mean 'listen'"),
        ({"listen": 1}, "it belongs in [server] or [edge]"),
        ({"server": {"wokers": 1}}, "did you mean 'workers' of [edge]"),
        ({"server": {"tls": {}}}, "it belongs in [edge]"),
        ({"rate_limit": {"burst": 1}}, "it belongs in [edge]"),
        ({"server": {"channel": [{}]}}, "it belongs in the top of the file"),
        ({"servers": {}}, "did you mean 'server'"),
        ({"server": {"colour": 1}}, "None"),
    ],
    ids=str,
)
def test_an_unknown_name_leads_to_the_one_that_was_meant(tables: dict[str, Any], hint: str) -> None:
    ((_, complaint),) = said(tables).items()
    assert complaint.startswith("unknown ")
    assert complaint.endswith(f"; {hint}")


def test_a_list_of_models_keeps_its_positions() -> None:
    assert list(said({"channel": [{**CHANNEL, "models": ["m", "a b", "n", ""]}]})) == [
        ("channel", 0, "models", 1),
        ("channel", 0, "models", 3),
    ]


def test_a_name_in_a_table_of_models_is_said_once() -> None:
    assert list(said({"channel": [{**CHANNEL, "models": {"a b": "a b"}}]})) == [("channel", 0, "models", "a b")]


def test_a_text_from_a_variable_is_not_told_to_leave_out_its_quotes() -> None:
    assert said({"server": {"tries": Unread("many")}}) == {("server", "tries"): "needs a whole number; None"}
    assert said({"server": {"tries": "many"}}) == {("server", "tries"): "needs a whole number, not a text; leave out the quotes"}


def test_too_many_entries_are_counted() -> None:
    assert said({"edge": {"cors_origins": ["https://a.b"] * 65}}) == {("edge", "cors_origins"): "has more than 64 entries; None"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just("sk SECRET") | st.dates() | st.datetimes() | st.times(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "name", "mode"]), inner, max_size=2),
    max_leaves=4,
)


@given(
    st.sampled_from(sorted(Settings.model_fields)),
    VALUES,
    st.sampled_from([None, *KEY, *CHANNEL, "keys", "expires", "tls", "rate_limit", "tries"]),
)
def test_any_value_in_any_place_is_refused_in_plain_words_or_taken(table: str, value: object, name: str | None) -> None:
    inner = value if name is None else {name: value} if table in {"server", "edge"} else [{name: value}]
    complaints = " ".join(said({table: inner}).values())
    assert "SECRET" not in complaints
    assert [word for word in JARGON if word in complaints] == []
