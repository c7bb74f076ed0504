"""What /proc tells: processor time and memory of processes, and what else the machine is doing."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

_PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def family(pids: Iterable[int]) -> list[int]:
    """Give these processes and all below them."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                children.setdefault(int(_stat(folder)[1]), []).append(int(folder.name))
    found, todo = [], list(pids)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def _stat(folder: Path) -> list[str]:
    """Fields of a stat file from the state on: the name before it may hold blanks."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def cpu_s(pids: Iterable[int]) -> float:
    """Sum up user and system time. In nanoseconds where the kernel counts them per thread, else in ticks of 10 ms."""
    return sum(_cpu_s(_PROC / str(pid)) for pid in pids)


def _cpu_s(folder: Path) -> float:
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in (folder / "task").iterdir()) / 1e9
    except OSError:
        pass
    try:
        fields = _stat(folder)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def allow(pids: Iterable[int], cores: Iterable[int]) -> None:
    """Let processes, all threads of them, run on these cores only."""
    allowed = set(cores)
    for pid in pids:
        with suppress(OSError):
            for task in (_PROC / str(pid) / "task").iterdir():
                os.sched_setaffinity(int(task.name), allowed)


def pss_kib(pids: Iterable[int]) -> float:
    """Sum up memory, each shared page counted in shares."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            found = _PSS.search((_PROC / str(pid) / "smaps_rollup").read_text())
            total += int(found[1]) if found else 0
    return float(total)


def busy_s() -> float:
    """Processor time that the whole machine has spent on work, since it started."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, (_PROC / "stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) * _TICK_S


def describe(nginx: Path) -> str:
    """Say what a table was measured on."""
    with suppress(OSError):
        model = re.search(r"^model name\s*:\s*(.+)$", (_PROC / "cpuinfo").read_text(), re.MULTILINE)
        cpu = model[1] if model else platform.machine()
    asked = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False)
    nginx_version = asked.stderr.strip().rpartition("/")[2]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {cpu}, Linux {platform.release()}, Python {platform.python_version()}, "
        f"nginx {nginx_version}, aiohttp {version('aiohttp')}, uvloop {version('uvloop')}"
    )
