"""From runs to verdicts: what counts, what is compared with what, what fails the gate."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.figures import (
    RATIOS,
    Check,
    Committed,
    Run,
    Runs,
    Spread,
    gate,
    quantile,
    ratios_json,
    read_committed,
    regressions,
    spread,
)
from tests.bench.scenarios import SCENARIOS
from tests.bench.targets import TARGETS

RUN = Run("paced200", "nginx", 1, wall_s=2.0, cpu_s=0.2, chunks=20_000, answers=200, first_p50_ms=0.5, delay_p50_ms=0.1, delay_p99_ms=0.9)
ALL = ("nginx", "naive", "relay")


def three(relay: float = 1.5, naive: float = 3.0, number: int = 1, **changes: float) -> list[Run]:
    """One round in which the machine had one speed for all."""
    nginx = replace(RUN, round=number, **changes)  # type: ignore[arg-type]
    return [nginx, *(replace(nginx, target=target, cpu_s=nginx.cpu_s * times) for target, times in (("naive", naive), ("relay", relay)))]


def test_a_quantile_is_one_of_the_values() -> None:
    assert [quantile([1, 2, 3, 4], share) for share in (0, 0.5, 0.99, 1)] == [1, 3, 4, 4]
    assert quantile([], 0.5) == 0


def test_a_spread_says_how_far_values_strayed() -> None:
    assert spread([]) is None
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert Spread(2.0, 1.0, 3.0).text(1) == "2.0 (1.0-3.0)"
    assert Spread(2.0, 2.0, 2.0).text() == "2.00"


def test_costs_are_for_a_million_chunks_or_a_thousand_answers() -> None:
    assert RUN.cost == pytest.approx(10.0)
    assert replace(RUN, chunks=0).cost == pytest.approx(1.0)


def test_a_ratio_is_taken_within_a_round() -> None:
    runs = Runs([*three(relay=1.5, number=1), *three(relay=1.7, number=2, cpu_s=0.9), *three(relay=1.4, number=3)])
    ratio = runs.ratio("paced200", "relay", "nginx")
    assert ratio is not None
    assert ratio.text() == "1.50 (1.40-1.70)"


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"client_busy": 0.9}, "client 90% busy"),
        ({"emulator_busy": 0.86}, "emulator 86% busy"),
        ({"failures": {"status 502": 2, "cut": 1}}, "1 x cut, 2 x status 502"),
        ({"client_busy": 0.8, "others_busy": 2.0}, ""),
    ],
)
def test_a_run_that_measured_something_else_counts_for_nothing(changes: dict[str, object], flaw: str) -> None:
    run = replace(RUN, **changes)  # type: ignore[arg-type]
    assert run.flaw == flaw
    assert (Runs([run]).line("paced200", "nginx").cost is None) == bool(flaw)


def verdicts(runs: list[Run], targets: tuple[str, ...] = ALL, scenarios: tuple[str, ...] = ("paced200",)) -> list[bool | None]:
    return [check.holds for check in gate(Runs(runs), targets, scenarios)]


def test_the_gate_holds_or_not() -> None:
    assert verdicts(three(relay=1.7, naive=2.6)) == [True, True, True]
    assert verdicts(three(relay=1.75, naive=2.6)) == [True, False, False]


def test_what_was_asked_for_and_gave_no_figure_does_not_hold() -> None:
    assert verdicts([replace(run, client_busy=1.0) for run in three()]) == [True, False, False]
    assert verdicts(three(), targets=("relay",)) == [True, None, None]
    assert verdicts([], scenarios=("req",)) == [True, None, None]


def test_a_lost_chunk_of_ours_fails_the_gate_and_one_of_others_does_not() -> None:
    nginx, naive, relay = three()
    assert verdicts([nginx, naive, replace(relay, failures={"cut": 1})])[0] is False
    assert verdicts([replace(nginx, failures={"cut": 1}), naive, relay])[0] is True


def test_a_ratio_may_get_worse_by_the_tolerance_only() -> None:
    committed = Committed(0.25, {"paced200": {"relay": 1.6}, "req": {"relay": 3.0}})
    assert [check.holds for check in regressions(Runs(three(relay=1.99)), committed)] == [True, None]
    assert [check.holds for check in regressions(Runs(three(relay=2.01)), committed)] == [False, None]


def test_new_ratios_replace_only_what_was_measured() -> None:
    committed = Committed(0.25, {"paced200": {"relay": 9.0}, "req": {"relay": 3.0}})
    written = json.loads(ratios_json(Runs(three(relay=1.5)), committed))
    assert written == {"tolerance": 0.25, "ratios": {"paced200": {"relay": 1.5}, "req": {"relay": 3.0}}}


def test_the_committed_ratios_name_what_there_is() -> None:
    committed = read_committed(Path(RATIOS))
    assert set(committed.ratios) <= set(SCENARIOS)
    assert {target for targets in committed.ratios.values() for target in targets} <= set(TARGETS)


def test_the_table_has_a_line_for_each_target() -> None:
    direct = replace(RUN, target="direct", cpu_s=0.0, first_p50_ms=0.2)
    broken = replace(RUN, target="relay", failures={"cut": 1})
    lines = Runs([direct, RUN, broken]).lines()
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in report.table(lines).splitlines()]
    assert rows[2] == ["paced200", "direct", "-", "-", "-", "0.00", "0.10", "0.9", "-"]
    assert rows[3] == ["paced200", "nginx", "10.0", "1.00", "10", "0.30", "0.10", "0.9", "-"]
    assert rows[4][:3] == ["paced200", "relay", "no valid run"]
    assert report.flaws(lines) == ["invalid: paced200 relay: round 1: 1 x cut"]


def test_a_verdict_says_what_was_measured() -> None:
    checks = [Check("a", Spread(1.0, 1.0, 1.0), holds=True), Check("b", None, holds=False), Check("c", None, holds=None)]
    assert [line.strip() for line in report.verdict(checks)] == ["holds  a; measured 1.00", "MISSED  b", "not measured  c"]
