"""`relay run` as a program of its own, for as long as a test needs it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai

from tests.unit.demo.living import descendants, is_running

RELAY = (sys.executable, "-P", "-m", "relay.cli")
STOP_S = 15
_OURS = ("PORT", "DEMO", "UPSTREAM_", "RELAY_")


@dataclass
class Run:
    """A run: what it has said so far, and how to reach it."""

    process: subprocess.Popen[str]
    place: Path
    lines: list[str] = field(default_factory=list)

    def said(self, word: str) -> str:
        """Give the value of an announced line."""
        return next(line.partition("  ")[2] for line in self.lines if line.startswith(f"{word}  "))

    def until(self, line: str) -> None:
        """Read on until it says this. What it says instead, if it ends, is the failure."""
        assert self.process.stdout
        for text in self.process.stdout:
            self.lines.append(text.rstrip("\n"))
            if self.lines[-1] == line:
                return
        raise AssertionError("\n".join([*self.lines, self.complaint()]))

    def complaint(self) -> str:
        assert self.process.stderr
        return self.process.stderr.read()

    def client(self, key: str | None = None) -> openai.OpenAI:
        """Give the official client, pointed at the edge. It never tries twice: a failure is to be seen."""
        return openai.OpenAI(base_url=self.said("endpoint"), api_key=key or self.said("key"), max_retries=0, timeout=30)

    def programs(self) -> set[int]:
        """Every process that it has started."""
        return descendants(self.process.pid)

    def settings(self) -> dict[str, Any]:
        return tomllib.loads((self.place / ".run" / "relay.toml").read_text(encoding="utf-8"))

    def metric(self, line: str) -> float:
        """Read one line of /metrics from the admin listener."""
        text = fetch(f"{self.said('admin')}/metrics").decode()
        return next((float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(f"{line} ")), 0.0)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(STOP_S)


def fetch(url: str) -> bytes:
    """Read a page of this machine, whatever proxy the environment names."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def environ(**settings: str) -> dict[str, str]:
    """Our own environment without what steers a run, and with what is to steer this one."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)} | settings


@contextlib.contextmanager
def starting(place: Path, settings: Mapping[str, str], command: Sequence[str] = (*RELAY, "run", "--demo")) -> Iterator[Run]:
    """Start a run, and see to it that nothing of it is left behind."""
    process = subprocess.Popen(command, cwd=place, env=environ(**settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    run = Run(process, place)
    watchdog = threading.Timer(90, process.kill)
    watchdog.start()
    try:
        yield run
    finally:
        watchdog.cancel()
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.stop()
        process.kill()
        process.communicate()


@contextlib.contextmanager
def running(place: Path, **settings: str) -> Iterator[Run]:
    """Start a run and wait until it is ready. By default on any free port, so that tests don't stand in each other's way."""
    with starting(place, {"PORT": "0", **settings}) as run:
        run.until("ready")
        yield run


def left_of(programs: set[int]) -> set[int]:
    return {pid for pid in programs if is_running(pid)}
