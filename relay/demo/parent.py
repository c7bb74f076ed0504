"""make as a parent: noticing that it was told to end when it doesn't say so.

make hands SIGTERM on to what it runs. SIGINT and SIGHUP it keeps to itself and waits, since in a terminal they reach everybody anyway; but
who signals make alone would wait for ever. And of SIGKILL it dies alone. Both can be seen from here.
"""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

_MAKES: Final = {"make", "gmake"}
_TOLD_BY: Final = (signal.SIGINT, signal.SIGHUP)
_LOOK_EVERY_S: Final = 0.25
_CAUGHT: Final = re.compile(r"^SigCgt:\s*([0-9a-f]+)$", re.MULTILINE)
_NAME: Final = re.compile(r"^Name:\s*(.*)$", re.MULTILINE)


async def watch(stop: Callable[[], None]) -> None:
    """If make has started us, call `stop` once it is told to end or is gone."""
    pid = os.getppid()
    status = _status(pid)
    if not is_make(status):
        return
    at_first = caught(status)
    while os.getppid() == pid and at_first <= caught(_status(pid)):  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(_LOOK_EVERY_S)
    stop()


def is_make(status: str) -> bool:
    """Whether /proc/PID/status is one of make."""
    found = _NAME.search(status)
    return found is not None and found[1] in _MAKES


def caught(status: str) -> set[signal.Signals]:
    """Which of the signals make has a handler for. It lays a handler down when the signal has come."""
    found = _CAUGHT.search(status)
    mask = int(found[1], 16) if found else 0
    return {number for number in _TOLD_BY if mask >> (number - 1) & 1}


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
