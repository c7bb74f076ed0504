"""The table and the verdict, as text. Pure."""

from collections.abc import Iterable, Sequence

from tests.bench.figures import Check, Line, Spread
from tests.bench.scenarios import Scenario

_COLUMNS = ("scenario", "target", "CPU s", "x nginx", "busy %", "first +ms", "delay p50 ms", "delay p99 ms", "KiB/stream")


def table(lines: Iterable[Line]) -> str:
    """Print one table, in Markdown that reads well as it is."""
    rows = [_COLUMNS, *(_row(line) for line in lines)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
    printed = [_print(row, widths) for row in rows]
    return "\n".join([printed[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *printed[1:]])


def _row(line: Line) -> tuple[str, ...]:
    if not (line.cost or line.first_ms):
        return (line.scenario, line.target, "no valid run", *[""] * (len(_COLUMNS) - 3))
    busy = line.busy and Spread(*(100 * share for share in (line.busy.middle, line.busy.low, line.busy.high)))
    cost_digits = 3 if line.cost and line.cost.middle < 1 else 1
    figures = (
        (line.cost, cost_digits),
        (line.ratio, 2),
        (busy, 0),
        (line.first_ms, 2),
        (line.delay_p50_ms, 2),
        (line.delay_p99_ms, 1),
        (line.kib_per_stream, 1),
    )
    return (line.scenario, line.target, *(spread.text(digits) if spread else "-" for spread, digits in figures))


def _print(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def flaws(lines: Iterable[Line]) -> list[str]:
    """List the runs that counted for nothing, and why."""
    return [f"invalid: {line.scenario} {line.target}: {flaw}" for line in lines for flaw in line.flaws]


def verdict(checks: Iterable[Check]) -> list[str]:
    """Say what holds and what does not."""
    words = {True: "holds", False: "MISSED", None: "not measured"}
    return [f"{words[check.holds]:>12}  {check.what}{f'; measured {check.measured.text()}' if check.measured else ''}" for check in checks]


def legend(loads: Iterable[Scenario], rounds: int) -> list[str]:
    """Explain the columns and the loads."""
    return [
        *(f"{load.name}: {load.text}" for load in loads),
        "CPU s: processor seconds of the target's processes per 1M chunks (req: per 1k answers), user and system",
        "x nginx: that, divided by the same of plain nginx in the same round (relay-tls: of nginx with TLS to the upstream)",
        "first +ms: median time to the first content (req: to the whole answer) beyond direct's",
        f"median (lowest-highest) of {rounds} rounds; hold is run once, on fresh processes; busy is of one core",
    ]


def noise(others: Spread | None, load_before: float, load_after: float) -> str:
    """Say how quiet the machine was."""
    taken = f"{others.middle:.2f} ({others.low:.2f}-{others.high:.2f})" if others else "-"
    return f"noise: load average {load_before:.1f} before, {load_after:.1f} after; cores taken by others {taken}"
