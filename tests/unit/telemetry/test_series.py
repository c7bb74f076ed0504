"""Families count, are read whole, and stay within their budget."""

import math

from hypothesis import given
from hypothesis import strategies as st

from relay.telemetry.catalogue import OTHER, Kind, Row
from relay.telemetry.series import Board, bound_text

HITS = Row("relay_hits_total", Kind.COUNTER, "Hits.", ("model", "channel"))
LEVEL = Row("relay_level", Kind.GAUGE, "Level.")
BUILD = Row("relay_build_info", Kind.INFO, "Build.", ("version",))
TOOK = Row("relay_took_seconds", Kind.HISTOGRAM, "Took.", ("model",), (0.1, 1, 10))


def samples(board: Board) -> dict[tuple[str, ...], float]:
    return {(sample.name, *sample.labels.values()): sample.value for metric in board.collect() for sample in metric.samples}


def test_a_counter_counts_per_label_values() -> None:
    board = Board(100, 0)
    hits = board.numbers(HITS)
    hits.at("a", "x").value += 1
    hits.at("a", "x").value += 1
    hits.at("b", "x").value += 1
    assert samples(board) == {("relay_hits_total", "a", "x"): 2, ("relay_hits_total", "b", "x"): 1}


def test_a_family_without_labels_is_there_from_the_start() -> None:
    board = Board(100, 0)
    board.numbers(LEVEL)
    assert samples(board) == {("relay_level",): 0}


def test_the_library_gets_counters_and_infos_by_the_name_that_it_will_lengthen() -> None:
    board = Board(100, 0)
    board.numbers(HITS)
    board.numbers(BUILD)
    assert [(metric.name, metric.type) for metric in board.collect()] == [("relay_hits", "counter"), ("relay_build", "info")]


def test_a_value_on_a_bound_is_in_that_bucket() -> None:
    board = Board(100, 0)
    took = board.histograms(TOOK).at("a")
    for value in (0.1, 0.5, 1, 11):
        took.observe(value)
    assert samples(board) == {
        ("relay_took_seconds_bucket", "a", "0.1"): 1,
        ("relay_took_seconds_bucket", "a", "1.0"): 3,
        ("relay_took_seconds_bucket", "a", "10.0"): 3,
        ("relay_took_seconds_bucket", "a", "+Inf"): 4,
        ("relay_took_seconds_count", "a"): 4,
        ("relay_took_seconds_sum", "a"): 12.6,
    }


@given(st.lists(st.floats(0, 1e6)))
def test_buckets_never_fall_and_end_at_the_count(values: list[float]) -> None:
    board = Board(100, 0)
    took = board.histograms(TOOK).at("a")
    for value in values:
        took.observe(value)
    (metric,) = board.collect()
    buckets = [sample.value for sample in metric.samples if sample.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == len(values) == next(sample.value for sample in metric.samples if sample.name.endswith("_count"))
    assert math.isclose(next(sample.value for sample in metric.samples if sample.name.endswith("_sum")), math.fsum(values), abs_tol=1e-6)


def test_a_value_below_zero_counts_as_zero() -> None:
    board = Board(100, 0)
    board.histograms(TOOK).at("a").observe(-1)
    assert samples(board)["relay_took_seconds_sum", "a"] == 0


def test_a_request_id_becomes_the_example_of_its_bucket_unless_it_is_none() -> None:
    board = Board(100, 0)
    took = board.histograms(TOOK).at("a")
    took.observe(0.05, "first")
    took.observe(0.06, "second")
    took.observe(0.5, '" # a request id of somebody else')
    took.observe(5, "x" * 101)
    (metric,) = board.collect()
    shown = {sample.labels["le"]: sample.exemplar for sample in metric.samples if sample.exemplar}
    assert {bound: (example.labels, example.value) for bound, example in shown.items()} == {"0.1": ({"request_id": "second"}, 0.06)}


def test_what_does_not_fit_is_counted_with_all_others_and_no_line_is_added() -> None:
    board = Board(limit=2 + 1 + 2, lines=0)
    hits = board.numbers(HITS)
    for model in ("a", "b", "c", "d"):
        hits.at(model, "x").value += 1
    assert samples(board) == {
        ("relay_hits_total", "a", "x"): 1,
        ("relay_hits_total", "b", "x"): 1,
        ("relay_hits_total", OTHER, OTHER): 2,
    }
    assert board.budget.lines == 5


def test_room_that_was_given_back_is_used_again() -> None:
    board = Board(limit=2 + 1 + 1, lines=0)
    hits = board.numbers(HITS)
    hits.at("old", "x").value += 1
    assert hits.at("new", "x").labels == (OTHER, OTHER)
    board.keep({"model": {"new", OTHER}})
    hits.at("new", "x").value += 1
    assert samples(board) == {("relay_hits_total", OTHER, OTHER): 0, ("relay_hits_total", "new", "x"): 1}


def test_keeping_forgets_series_of_unlisted_values_and_leaves_other_labels_alone() -> None:
    board = Board(100, 0)
    hits, took = board.numbers(HITS), board.histograms(TOOK)
    for model in ("a", "b"):
        hits.at(model, "x")
        took.at(model)
    before = board.budget.lines
    board.keep({"model": {"a"}})
    assert {labels[1] for labels in samples(board)} == {"a"}
    assert board.budget.lines == before - HITS.lines - TOOK.lines


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"))), st.integers(9, 40))
def test_the_budget_is_the_number_of_lines_at_most(hits: list[tuple[str, str]], limit: int) -> None:
    board = Board(limit, 0)
    family, took = board.numbers(HITS), board.histograms(TOOK)
    for model, channel in hits:
        family.at(model, channel).value += 1
        took.at(model).observe(1)
    metrics = list(board.collect())
    lines = sum(2 + len(metric.samples) for metric in metrics)
    assert lines <= board.budget.lines <= max(limit, 2 + HITS.lines + 2 + TOOK.lines)
    assert sum(sample.value for sample in metrics[0].samples) == len(hits)


def test_a_bound_is_written_as_a_float() -> None:
    assert [bound_text(bound) for bound in (1, 0.25, 1048576, math.inf)] == ["1.0", "0.25", "1048576.0", "+Inf"]
