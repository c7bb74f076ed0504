"""The loads.

Paced, never "as fast as possible": a saturated relay merges events into larger reads, which flatters slow ones. Where the cost is what
counts, client, target and emulator share one core: spread over several, each wake-up costs more or less by where the scheduler happens
to put them, and moves a ratio by a third. Latencies are read where they are free (paced40).
"""

from collections.abc import Mapping
from dataclasses import dataclass

_START_S = 0.7
PLAIN = ("direct", "nginx", "naive", "relay", "edge+relay")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load, and whom it is for."""

    name: str
    callers: int
    chunks: int  # of a stream; 0 for answers in one piece
    pace_us: int
    first_us: int  # until the emulator begins to answer, as a model would
    ramp_s: float
    warm_s: float
    measure_s: float
    targets: tuple[str, ...] = PLAIN
    one_core: bool = False
    hold: bool = False
    """Streams that stay open, on fresh processes and once instead of in each round: it is about memory."""

    @property
    def takes_s(self) -> float:
        """How long a run takes, the client's start included."""
        return self.ramp_s + self.warm_s + self.measure_s + _START_S

    @property
    def text(self) -> str:
        """Say it in words."""
        where = "; all on one core" if self.one_core else ""
        if not self.chunks:
            return f"{self.callers} callers, one answer after another in one piece{where}"
        return f"{self.callers} open streams, {1_000_000 / self.pace_us:g} chunks/s each{where}"


_ALL = (
    Scenario("req", 16, 0, 0, 10_000, ramp_s=0.2, warm_s=0.4, measure_s=1.5, one_core=True),
    Scenario("paced40", 40, 100, 20_000, 5_000, ramp_s=0.3, warm_s=0.4, measure_s=1.8),
    Scenario("paced200", 200, 100, 20_000, 5_000, ramp_s=0.4, warm_s=0.5, measure_s=2.5, targets=(*PLAIN, "naive-uvloop"), one_core=True),
    Scenario("hold", 2000, 1_000_000, 500_000, 5_000, ramp_s=2.5, warm_s=0.5, measure_s=1.5, targets=PLAIN[1:], hold=True),
    Scenario("tls", 100, 100, 20_000, 5_000, ramp_s=0.4, warm_s=0.6, measure_s=2.0, targets=("nginx-tls", "relay-tls"), one_core=True),
)
SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
