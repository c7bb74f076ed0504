"""From runs to figures: costs, ratios within a round, medians, the gates. Pure.

A processor's second buys more or less work from minute to minute on a shared machine, so no absolute cost is compared with another
round's: every ratio is taken between two targets of the same round, and the median of those is the figure.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

MOST_BUSY: Final = 0.85
"""Share of one core above which the client or the emulator may have been what was measured."""

CALM: Final = 0.3
"""Cores that others may take during a run without its being repeated, if there is time."""

RELAY_LIMIT: Final = 1.7
"""Most that the relay alone may cost per chunk, in costs of nginx."""

NAIVE_GAIN: Final = 1.5
"""Least that a naive relay must cost more than ours."""

JUDGED: Final = "paced200"
"""Where the gate looks: the more chunks there are, the less a round's ratio is moved by chance."""

RATIOS = Path(__file__).with_name("ratios.json")


def quantile(ordered: Sequence[float], share: float) -> float:
    """Pick from sorted values; 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and how far single values strayed from it."""

    middle: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        alone = f"{self.middle:.{digits}f}"
        return alone if self.low == self.high else f"{alone} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def spread(values: Iterable[float]) -> Spread | None:
    """Reduce some values; None of none."""
    known = list(values)
    return Spread(median(known), min(known), max(known)) if known else None


@dataclass(frozen=True, slots=True)
class Run:
    """One target under one load in one round."""

    scenario: str
    target: str
    round: int
    wall_s: float
    cpu_s: float  # of the target's processes
    chunks: int
    answers: int
    first_p50_ms: float  # to the first content or the whole of an answer in one piece, beyond the time that the emulator was asked to take
    delay_p50_ms: float = 0.0
    delay_p99_ms: float = 0.0
    failures: Mapping[str, int] = field(default_factory=dict)
    client_busy: float = 0.0  # share of one core
    emulator_busy: float = 0.0
    core_busy: float = 0.0  # of the one core that all shared, if they did
    others_busy: float = 0.0  # cores that went to neither target, client nor emulator
    kib_per_stream: float | None = None

    @property
    def flaw(self) -> str:
        """Why this run counts for nothing, or ""."""
        if self.failures:
            return ", ".join(f"{count} x {what}" for what, count in sorted(self.failures.items()))
        for who, busy in (("client", self.client_busy), ("emulator", self.emulator_busy), ("core", self.core_busy)):
            if busy > MOST_BUSY:
                return f"{who} {busy:.0%} busy"
        return ""

    @property
    def cost(self) -> float:
        """Processor seconds for 1M chunks, or for 1k answers in one piece."""
        return self.cpu_s / self.chunks * 1e6 if self.chunks else self.cpu_s / max(1, self.answers) * 1e3


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one target in one scenario."""

    scenario: str
    target: str
    cost: Spread | None
    ratio: Spread | None  # to nginx in the same rounds
    busy: Spread | None
    first_ms: Spread | None  # added to what the client sees without anything between
    delay_p50_ms: Spread | None
    delay_p99_ms: Spread | None
    kib_per_stream: Spread | None
    flaws: tuple[str, ...]


class Runs:
    """All runs of a bench."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._all = list(runs)
        self._valid = {(run.scenario, run.target, run.round): run for run in self._all if not run.flaw}

    def lines(self) -> list[Line]:
        """Make the lines of the table, in the order in which scenarios and targets first appear."""
        return [self.line(*pair) for pair in dict.fromkeys((run.scenario, run.target) for run in self._all)]

    def line(self, scenario: str, target: str) -> Line:
        """Sum up one target in one scenario."""
        runs = self._of(scenario, target)
        flaws = (f"round {run.round}: {run.flaw}" for run in self._all if (run.scenario, run.target) == (scenario, target) and run.flaw)
        has_processes = target != "direct"
        streamed = [run for run in runs if run.chunks]
        return Line(
            scenario,
            target,
            cost=spread(run.cost for run in runs if has_processes),
            ratio=self.ratio(scenario, target, baseline(target)) if has_processes else None,
            busy=spread(run.cpu_s / run.wall_s for run in runs if has_processes),
            first_ms=spread(run.first_p50_ms - direct.first_p50_ms for run, direct in self._pairs(scenario, target, "direct")),
            delay_p50_ms=spread(run.delay_p50_ms for run in streamed),
            delay_p99_ms=spread(run.delay_p99_ms for run in streamed),
            kib_per_stream=spread(run.kib_per_stream for run in runs if run.kib_per_stream is not None),
            flaws=tuple(flaws),
        )

    def ratio(self, scenario: str, target: str, to: str) -> Spread | None:
        """Compare the costs of two targets within each round."""
        return spread(one.cost / other.cost for one, other in self._pairs(scenario, target, to) if other.cpu_s)

    def failures(self, target: str) -> int:
        """Count what went wrong with the answers through a target."""
        return sum(sum(run.failures.values()) for run in self._all if run.target == target)

    def others_busy(self) -> Spread | None:
        """Cores that went to somebody else."""
        return spread(run.others_busy for run in self._all)

    def _of(self, scenario: str, target: str) -> list[Run]:
        return [run for key, run in self._valid.items() if key[:2] == (scenario, target)]

    def _pairs(self, scenario: str, target: str, other: str) -> list[tuple[Run, Run]]:
        pairs = ((run, self._valid.get((scenario, other, run.round))) for run in self._of(scenario, target))
        return [(run, partner) for run, partner in pairs if partner is not None]


def baseline(target: str) -> str:
    """Name the plain nginx that a target is compared with: with TLS to the upstream, or without."""
    return "nginx-tls" if target.endswith("-tls") else "nginx"


@dataclass(frozen=True, slots=True)
class Check:
    """One limit and what was measured. `holds` is None if that was not asked for."""

    what: str
    measured: Spread | None
    holds: bool | None


def gate(runs: Runs, targets: Sequence[str], scenarios: Sequence[str]) -> list[Check]:
    """Hold the runs to the limits. What was asked for but gave no valid run does not hold."""

    def check(what: str, target: str, other: str, *, least: float | None = None, most: float | None = None) -> Check:
        ratio = runs.ratio(JUDGED, target, other)
        if JUDGED not in scenarios or not {target, other} <= set(targets):
            return Check(what, None, None)
        holds = ratio is not None and (most is None or ratio.middle <= most) and (least is None or ratio.middle >= least)
        return Check(what, ratio, holds)

    failed = sum(runs.failures(target) for target in targets if "relay" in target)
    return [
        Check("no answer through our relay was lost, cut, out of order or refused", None, not failed),
        check(f"{JUDGED}: relay / nginx <= {RELAY_LIMIT}", "relay", "nginx", most=RELAY_LIMIT),
        check(f"{JUDGED}: naive / relay >= {NAIVE_GAIN}", "naive", "relay", least=NAIVE_GAIN),
    ]


@dataclass(frozen=True, slots=True)
class Committed:
    """The ratios to nginx that this repository stands for: scenario -> target -> ratio."""

    tolerance: float
    ratios: Mapping[str, Mapping[str, float]]


def read_committed(path: Path) -> Committed:
    """Read ratios.json."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Committed(float(kept["tolerance"]), kept["ratios"])


def regressions(runs: Runs, committed: Committed) -> list[Check]:
    """Compare what was measured with what is committed."""
    checks = []
    for scenario, targets in committed.ratios.items():
        for target, kept in targets.items():
            ratio = runs.ratio(scenario, target, baseline(target))
            most = kept * (1 + committed.tolerance)
            what = f"{scenario}: {target} / {baseline(target)} <= {most:.2f} (committed {kept:.2f} + {committed.tolerance:.0%})"
            checks.append(Check(what, ratio, None if ratio is None else ratio.middle <= most))
    return checks


def ratios_json(runs: Runs, committed: Committed) -> str:
    """Write ratios.json anew with what was measured; what was not measured stays."""
    fresh: dict[str, dict[str, float]] = {}
    for scenario, targets in committed.ratios.items():
        fresh[scenario] = {}
        for target, kept in targets.items():
            ratio = runs.ratio(scenario, target, baseline(target))
            fresh[scenario][target] = kept if ratio is None else round(ratio.middle, 2)
    return json.dumps({"tolerance": committed.tolerance, "ratios": fresh}, indent=2) + "\n"
