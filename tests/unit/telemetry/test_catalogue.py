"""The rows keep Prometheus's naming rules, and the reference tells all of them."""

import re

import pytest

from relay.telemetry.catalogue import CATALOGUE, FROM_THE_LIBRARY, GROUPS, LABELS, Kind, Row, reference
from tests.repo.tree import ROOT

NAMED_BY_THE_CONVENTION = {"gen_ai_client_token_usage"}
"""OpenTelemetry's unit {token} has no suffix in Prometheus."""

PERSONAL = {"key", "api_key", "user", "ip", "address", "client", "path", "url", "prompt", "request_id", "token"}
RESERVED = {"le", "quantile", "job", "instance"}
NOT_BASE_UNITS = re.compile(r"_(ms|milliseconds|us|microseconds|minutes|hours|kb|kib|mb|kilobytes|megabytes|percent)(_|$)")

each_row = pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)


@each_row
def test_a_name_is_snake_case_in_base_units(row: Row) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", row.name)
    assert not NOT_BASE_UNITS.search(row.name)


@each_row
def test_a_name_ends_as_its_type_demands(row: Row) -> None:
    assert row.name.endswith("_total") == (row.kind is Kind.COUNTER)
    assert row.name.endswith("_info") == (row.kind is Kind.INFO)
    assert not row.name.endswith(("_count", "_sum", "_bucket", "_created"))
    if row.kind is Kind.HISTOGRAM and row.name not in NAMED_BY_THE_CONVENTION:
        assert row.name.endswith("_seconds")


@each_row
def test_a_metric_is_of_the_convention_or_ours(row: Row) -> None:
    assert row.name.startswith(("gen_ai_server_", "gen_ai_client_", "relay_"))


@each_row
def test_only_a_histogram_has_buckets_and_they_rise(row: Row) -> None:
    assert bool(row.buckets) == (row.kind is Kind.HISTOGRAM)
    assert list(row.buckets) == sorted(set(row.buckets))


@each_row
def test_no_label_names_a_person_or_is_prometheus_own(row: Row) -> None:
    assert not set(row.labels) & (PERSONAL | RESERVED)
    assert len(set(row.labels)) == len(row.labels)


def test_every_label_is_explained_and_every_explained_label_is_used() -> None:
    assert {label for row in CATALOGUE for label in row.labels} == set(LABELS)


def test_no_name_comes_twice() -> None:
    names = [row.name for row in CATALOGUE] + list(FROM_THE_LIBRARY)
    assert len(set(names)) == len(names)


def test_a_histogram_costs_its_buckets_and_three_lines_a_counter_one() -> None:
    assert Row("h_seconds", Kind.HISTOGRAM, "", (), (1, 2)).lines == 5
    assert Row("c_total", Kind.COUNTER, "").lines == 1


def test_the_reference_tells_every_metric_label_and_group() -> None:
    text = reference()
    for word in (*(row.name for row in CATALOGUE), *FROM_THE_LIBRARY, *LABELS):
        assert f"| `{word}` |" in text
    for title in GROUPS:
        assert f"## {title}\n" in text


def test_the_reference_has_tables_that_are_tables() -> None:
    blocks = [block.splitlines() for block in reference().split("\n\n") if block.startswith("|")]
    assert len(blocks) == len(GROUPS) + 3
    for lines in blocks:
        assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_the_reference_in_docs_is_this_one() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == reference(), "run `make docs`"
