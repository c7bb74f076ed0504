"""Families of series as plain numbers in slots, and the collector that hands them to prometheus_client when a scrape comes.

Counting is a dict look-up and an addition, without a lock: only the event loop's thread writes. A scrape runs in another thread and
copies what it reads in one step each (`list` of a dict's values, `list` of a list), which no write can interrupt. A histogram's count is
the sum of its copied buckets, so the two never disagree; its sum may be one observation ahead.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Generic, TypeVar

from prometheus_client import Metric
from prometheus_client.samples import Exemplar

from relay.telemetry.catalogue import OTHER, Kind, Row

_HEADER_LINES: Final = 2  # HELP and TYPE
_EXAMPLE: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")  # OpenMetrics allows 128 characters, the label's name included
_SUFFIXES: Final = {Kind.COUNTER: "_total", Kind.INFO: "_info"}


class Number:
    """One series of a counter, a gauge or an info: add to `value`, or set it."""

    __slots__ = ("labels", "value")

    def __init__(self, labels: tuple[str, ...], row: Row) -> None:
        del row
        self.labels = labels
        self.value: float = 0


class Histogram:
    """The series of one set of label values of a histogram."""

    __slots__ = ("_bounds", "counts", "examples", "labels", "total")

    def __init__(self, labels: tuple[str, ...], row: Row) -> None:
        self.labels = labels
        self._bounds = row.buckets
        self.counts = [0] * (len(row.buckets) + 1)  # each bucket alone, not cumulated
        self.total = 0.0
        self.examples: list[tuple[str, float] | None] = [None] * (len(row.buckets) + 1)

    def observe(self, value: float, request_id: str = "") -> None:
        """Count a value, which is never below zero: a sum that falls is not a sum. A request id makes it the example of its bucket."""
        value = max(0.0, value)
        at = bisect_left(self._bounds, value)
        self.counts[at] += 1
        self.total += value
        if request_id:
            self.examples[at] = (request_id, value)


Series = TypeVar("Series", bound=Number | Histogram)


class Family(Generic[Series]):
    """All series of one row."""

    def __init__(self, row: Row, make: Callable[[tuple[str, ...], Row], Series], budget: "Budget") -> None:
        self.row = row
        self._make = make
        self._budget = budget
        self._series: dict[tuple[str, ...], Series] = {}
        self._overflow = (OTHER,) * len(row.labels)
        budget.lines += _HEADER_LINES + row.lines  # the overflow's own lines are paid for in advance
        if not row.labels:
            self._series[()] = make((), row)

    def at(self, *labels: str) -> Series:
        """The series of these label values, or the one for all others if there is no room for it."""
        found = self._series.get(labels)
        return found if found is not None else self._add(labels)

    def _add(self, labels: tuple[str, ...]) -> Series:
        if labels != self._overflow and not self._budget.take(self.row.lines):
            labels = self._overflow
        return self._series.setdefault(labels, self._make(labels, self.row))

    def keep(self, allowed: Mapping[str, AbstractSet[str]]) -> None:
        """Forget the series that have a label value which is no longer in its set."""
        checked = [(at, allowed[label]) for at, label in enumerate(self.row.labels) if label in allowed]
        gone = [labels for labels in self._series if any(labels[at] not in values for at, values in checked)]
        for labels in gone:
            del self._series[labels]
            if labels != self._overflow:
                self._budget.lines -= self.row.lines

    def series(self) -> list[Series]:
        """All of them, now."""
        return list(self._series.values())


class Budget:
    """How many lines a scrape has, counted when series are made and not when they are rendered."""

    def __init__(self, limit: int, lines: int) -> None:
        self._limit = limit
        self.lines = lines

    def take(self, lines: int) -> bool:
        """Take room for these lines if there is any."""
        if self.lines + lines > self._limit:
            return False
        self.lines += lines
        return True


class Board:
    """All families of the process: a collector in prometheus_client's sense."""

    def __init__(self, limit: int, lines: int) -> None:
        """`lines`: how many of the limit something else takes."""
        self.budget = Budget(limit, lines)
        self._numbers: list[Family[Number]] = []
        self._histograms: list[Family[Histogram]] = []

    def numbers(self, row: Row) -> Family[Number]:
        """Make the family of a counter, gauge or info."""
        self._numbers.append(Family(row, Number, self.budget))
        return self._numbers[-1]

    def histograms(self, row: Row) -> Family[Histogram]:
        """Make the family of a histogram."""
        self._histograms.append(Family(row, Histogram, self.budget))
        return self._histograms[-1]

    def keep(self, allowed: Mapping[str, AbstractSet[str]]) -> None:
        """Forget, in every family, the series with a value of these labels that is no longer in its set."""
        for numbers in self._numbers:
            numbers.keep(allowed)
        for histograms in self._histograms:
            histograms.keep(allowed)

    def collect(self) -> Iterator[Metric]:
        """Read everything. Runs in the thread of the scrape."""
        for numbers in self._numbers:
            yield _of_numbers(numbers)
        for histograms in self._histograms:
            yield _of_histograms(histograms)


def _of_numbers(family: Family[Number]) -> Metric:
    row = family.row
    metric = Metric(row.name.removesuffix(_SUFFIXES.get(row.kind, "")), row.help, row.kind.value)
    for series in family.series():
        metric.add_sample(row.name, dict(zip(row.labels, series.labels, strict=True)), series.value)
    return metric


def _of_histograms(family: Family[Histogram]) -> Metric:
    row = family.row
    metric = Metric(row.name, row.help, row.kind.value)
    bounds = [bound_text(bound) for bound in (*row.buckets, math.inf)]
    for series in family.series():
        labels = dict(zip(row.labels, series.labels, strict=True))
        total, reached = series.total, 0
        for bound, count, example in zip(bounds, list(series.counts), list(series.examples), strict=True):
            reached += count
            metric.add_sample(f"{row.name}_bucket", {**labels, "le": bound}, reached, exemplar=_exemplar(example))
        metric.add_sample(f"{row.name}_count", labels, reached)
        metric.add_sample(f"{row.name}_sum", labels, total)
    return metric


def bound_text(bound: float) -> str:
    """A bucket's bound as OpenMetrics wants it: the shortest form that is a float's."""
    return "+Inf" if bound == math.inf else repr(float(bound))


def _exemplar(example: tuple[str, float] | None) -> Exemplar | None:
    if example is None or not _EXAMPLE.fullmatch(example[0]):
        return None
    return Exemplar({"request_id": example[0]}, example[1])
