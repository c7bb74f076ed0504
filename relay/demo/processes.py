"""The programs that a run starts: each in a session of its own, on a leash, with a log; and how they end.

A session of its own, so that Ctrl-C in a terminal reaches the run alone, which then ends its programs in order. On a leash, so that they
end even if the run is killed without a chance to do so.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from relay.demo import leash
from relay.demo.fault import CannotRun

PYTHON: Final = (sys.executable, "-P")
"""-P: the current folder is not a place to import from."""

GRACE_S: Final = 4.0
"""From the request to end to the order to."""

_LAST_LINES: Final = 12
_LONGEST_TAIL: Final = 8192


@dataclass(frozen=True, slots=True)
class Program:
    """What to start."""

    name: str
    command: Sequence[str]  # the program's absolute path first
    environ: Mapping[str, str]
    log: Path


class Child:
    """A program that runs."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self._process = process

    @classmethod
    async def start(cls, program: Program) -> "Child":
        """Start it. Its output goes into its log, which begins anew."""
        command = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *program.command]
        with program.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=program.environ,
                start_new_session=True,
            )
        return cls(program, process)

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ended(self) -> None:
        await self._process.wait()

    def obituary(self) -> CannotRun:
        """Say how it ended, with the last lines of its log."""
        code = self._process.returncode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = "".join(f"\n    {line}" for line in self.last_lines())
        return CannotRun(
            what=f"the {self.program.name} has ended", why=f"{how}{lines}", remedy=f"Its whole log: {_short(self.program.log)}"
        )

    def last_lines(self) -> list[str]:
        with self.program.log.open("rb") as log:
            log.seek(max(0, self.program.log.stat().st_size - _LONGEST_TAIL))
            text = log.read().decode("utf-8", "replace")
        return [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]

    async def stop(self) -> None:
        """End it and whatever it has started: politely, then by force."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), GRACE_S)
        except TimeoutError:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
