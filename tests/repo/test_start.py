"""`relay --help` answers at once: it loads the command line and nothing that serves."""

import os
import subprocess
import sys
from pathlib import Path

RELAY = Path(sys.executable).parent / "relay"
MAX_CPU_S = 0.150
SERVING = {"aiohttp", "asyncio", "orjson", "prometheus_client", "pydantic", "rich", "sqlalchemy", "uvloop"}

ASK_FOR_HELP = """
import sys
sys.argv = ["relay", "--help"]
from relay.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def cpu_s() -> float:
    """Processor time of one `relay --help`, its start included."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    child = os.posix_spawn(RELAY, [str(RELAY), "--help"], os.environ, file_actions=quiet)
    _, status, used = os.wait4(child, 0)
    assert status == 0
    return used.ru_utime + used.ru_stime


def test_help_is_cheap() -> None:
    assert min(cpu_s() for _ in range(7)) <= MAX_CPU_S


def test_help_loads_nothing_that_serves() -> None:
    asked = subprocess.run([sys.executable, "-c", ASK_FOR_HELP], capture_output=True, text=True, check=True)
    assert "Usage: relay" in asked.stdout
    assert set(asked.stderr.split()) & SERVING == set()
