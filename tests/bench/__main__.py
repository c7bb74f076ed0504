"""`make bench`: the relay beside plain nginx and a naive relay, in one interleaved run. See docs/performance.md.

    python -m tests.bench [-s SCENARIOS] [-r ROUNDS] [-t TARGETS] [--json FILE] [--no-gate]

Exit 1 if a limit is missed or a committed ratio has got worse; --no-gate only prints.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

import trustme

from relay.edge.facts import EdgeUnavailable, find_nginx
from tests.bench import machine
from tests.bench.client import Load, arguments
from tests.bench.figures import CALM, RATIOS, Run, Runs, gate, ratios_json, read_committed, regressions
from tests.bench.report import flaws, legend, noise, table, verdict
from tests.bench.scenarios import SCENARIOS, Scenario
from tests.bench.targets import ROOT, TARGETS, NotReady, Rig, Target, start

_FILES_PER_STREAM = 6  # held by a relay, with room
_SETTLE_S = 0.3
_CLIENT_S = 120.0
_SPARE_S = 8.0
"""How long the runs of a round may take more because they were disturbed and are repeated."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    scenarios: tuple[str, ...]
    targets: tuple[str, ...]
    rounds: int
    seed: int
    json: Path | None
    gate: bool
    update: bool


def options(words: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-s", "--scenarios", default=",".join(SCENARIOS), help="comma-separated: %(default)s")
    parser.add_argument("-t", "--targets", default=",".join(TARGETS), help="comma-separated: %(default)s")
    parser.add_argument("-r", "--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the order in which targets take turns; default: %(default)s")
    parser.add_argument("--json", type=Path, help="also write every single run to this file")
    parser.add_argument("--no-gate", dest="gate", action="store_false", help="print, and never fail")
    parser.add_argument("--update", action="store_true", help=f"write what was measured to {RATIOS.name}")
    told = parser.parse_args(words)
    scenarios, targets = told.scenarios.split(","), told.targets.split(",")
    for chosen, known in ((scenarios, SCENARIOS), (targets, TARGETS)):
        if unknown := set(chosen) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return Options(tuple(scenarios), tuple(targets), told.rounds, told.seed, told.json, told.gate, told.update)


def say(text: str = "") -> None:
    """Print a line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def progress(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Bench:
    """The emulator, the rig, and one run after another."""

    def __init__(self, rig: Rig, emulator: subprocess.Popen[bytes]) -> None:
        self._rig = rig
        self._emulator = emulator
        self._most_streams = _most_streams()
        self._cores = os.sched_getaffinity(0)

    @contextmanager
    def running(self, names: Sequence[str]) -> Iterator[list[Target]]:
        """Keep targets running."""
        with ExitStack() as ends:
            targets = []
            for name in names:
                targets.append(start(name, self._rig))
                ends.callback(targets[-1].end)
            yield targets

    def calm_run(self, scenario: Scenario, target: Target, number: int, give_up: float) -> Run:
        """Run again while somebody else uses the machine and there is time; keep the calmest. A failure is never run away from."""
        run = self.run(scenario, target, number)
        while run.others_busy > CALM and not run.failures and time.monotonic() + scenario.takes_s < give_up:
            again = self.run(scenario, target, number)
            if again.failures or again.others_busy < run.others_busy:
                run = again
        return run

    def run(self, scenario: Scenario, target: Target, number: int) -> Run:
        """Put one load on one target. Times are read when the client says that it begins and ends to count."""
        callers = min(scenario.callers, self._most_streams)
        load = Load(
            target.port,
            callers,
            scenario.chunks,
            scenario.pace_us,
            scenario.first_us,
            scenario.ramp_s,
            scenario.warm_s,
            scenario.measure_s,
            scenario.hold,
        )
        ours = machine.family(target.pids)
        idle_kib = machine.pss_kib(ours)
        client = subprocess.Popen(arguments(load), cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        machine.allow([*ours, client.pid, self._emulator.pid], [max(self._cores)] if scenario.one_core else self._cores)
        try:
            assert client.stdout is not None
            _expect(client.stdout, "begin")
            before = self._times(ours, client.pid)
            _expect(client.stdout, "end")
            after = self._times(ours, client.pid)
            held_kib = machine.pss_kib(ours)
            seen: dict[str, Any] = json.loads(client.stdout.readline())
            client.wait(_CLIENT_S)
        finally:
            if client.poll() is None:
                client.kill()
                client.wait()
        wall_s, target_s, client_s, emulator_s, all_s = (late - early for early, late in zip(before, after, strict=True))
        time.sleep(_SETTLE_S)
        return Run(
            scenario.name,
            target.name,
            number,
            wall_s,
            target_s,
            client_busy=client_s / wall_s,
            emulator_busy=emulator_s / wall_s,
            core_busy=(target_s + client_s + emulator_s) / wall_s if scenario.one_core else 0.0,
            others_busy=max(0.0, all_s - target_s - client_s - emulator_s) / wall_s,
            kib_per_stream=(held_kib - idle_kib) / callers if scenario.hold else None,
            **seen,
        )

    def _times(self, target: Sequence[int], client: int) -> tuple[float, ...]:
        return time.monotonic(), machine.cpu_s(target), machine.cpu_s([client]), machine.cpu_s([self._emulator.pid]), machine.busy_s()


def _expect(lines: IO[str], word: str) -> None:
    line = lines.readline().strip()
    if line != word:
        msg = f"the client said {line!r} instead of {word!r}"
        raise NotReady(msg)


def _most_streams() -> int:
    """Allow ourselves, and so all that we start, as many open files as this user may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(16, hard // _FILES_PER_STREAM) if hard != resource.RLIM_INFINITY else 1 << 20


@contextmanager
def bench(nginx: Path) -> Iterator[Bench]:
    """Set up a folder, a certificate and the emulator; clear all of it away."""
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="postgate-bench-")))
        authority, certificate, ca = trustme.CA(), folder / "upstream.pem", folder / "ca.pem"
        authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        authority.cert_pem.write_to_path(str(ca))
        _most_streams()
        command = [sys.executable, "-m", "tests.bench.emulator", str(certificate)]
        emulator = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        ends.callback(emulator.wait)
        ends.callback(emulator.terminate)
        assert emulator.stdout is not None
        plain, tls = json.loads(emulator.stdout.readline())
        yield Bench(Rig(folder, plain, tls, ca, nginx), emulator)


def measure(bench: Bench, asked: Options) -> list[Run]:
    """Run everything: what holds streams once on fresh processes, the rest round by round in random order."""
    chance = random.Random(asked.seed)  # noqa: S311 - the order of runs
    scenarios = [SCENARIOS[name] for name in asked.scenarios]
    runs = []
    for scenario in scenarios:
        for name in _chosen(scenario, asked) if scenario.hold else ():
            with bench.running([name]) as (target,):
                runs.append(bench.run(scenario, target, 0))
    paced = [scenario for scenario in scenarios if not scenario.hold]
    names = [name for name in asked.targets if any(name in scenario.targets for scenario in paced)]
    with bench.running(names) as targets:
        by_name = {target.name: target for target in targets}
        for number in range(1, asked.rounds + 1):
            turns = [(scenario, by_name[name]) for scenario in paced for name in _chosen(scenario, asked)]
            chance.shuffle(turns)
            left_s = sum(scenario.takes_s for scenario, _ in turns)
            deadline = time.monotonic() + left_s + _SPARE_S
            for scenario, target in sorted(turns, key=lambda turn: paced.index(turn[0])):  # what is compared is measured close in time
                left_s -= scenario.takes_s
                runs.append(bench.calm_run(scenario, target, number, deadline - left_s))
            progress(f"round {number} of {asked.rounds} is done, load average {os.getloadavg()[0]:.1f}")
    order = {name: at for at, name in enumerate((*SCENARIOS, *TARGETS))}
    return sorted(runs, key=lambda run: (order[run.scenario], order[run.target], run.round))


def _chosen(scenario: Scenario, asked: Options) -> list[str]:
    return [name for name in scenario.targets if name in asked.targets]


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    asked = options(words)
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, _stop)
    began, load_before = time.monotonic(), os.getloadavg()[0]
    try:
        nginx = find_nginx(folder=ROOT)
        with bench(nginx) as prepared:
            singles = measure(prepared, asked)
    except (NotReady, EdgeUnavailable) as fault:
        progress(f"bench: {fault}")
        return 1
    runs = Runs(singles)
    if asked.json:
        asked.json.write_text(
            json.dumps([asdict(replace(run, failures=dict(run.failures))) for run in singles], indent=1) + "\n", encoding="utf-8"
        )
    lines = runs.lines()
    say(table(lines))
    say()
    for line in legend((SCENARIOS[name] for name in asked.scenarios), asked.rounds):
        say(line)
    say(f"machine: {machine.describe(nginx)}")
    say(noise(runs.others_busy(), load_before, os.getloadavg()[0]))
    say(f"took {time.monotonic() - began:.0f} s")
    for line in flaws(lines):
        say(line)
    committed = read_committed(RATIOS)
    if asked.update:
        RATIOS.write_text(ratios_json(runs, committed), encoding="utf-8")
    checks = [*gate(runs, asked.targets, asked.scenarios), *([] if asked.update else regressions(runs, committed))]
    say()
    for line in verdict(checks):
        say(line)
    return int(asked.gate and any(check.holds is False for check in checks))


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    """End through every `finally`, so that nothing that was started is left behind."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
