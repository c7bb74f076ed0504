"""Waiting until a program answers."""

import asyncio
import contextlib
from typing import Final

from relay.demo.fault import CannotRun
from relay.demo.ports import LOOPBACK
from relay.demo.processes import Child

READY_S: Final = 60.0
"""Longest a program may take; on an idle machine it takes about a second."""

_POLL_S: Final = 0.02
_ANSWER_S: Final = 5.0


async def until_answering(child: Child, port: int, path: str, *, status: int) -> None:
    """Wait until GET `path` is answered with `status`. Raises CannotRun if the program ends first, or takes too long."""
    try:
        async with asyncio.timeout(READY_S):
            while await _status(port, path) != status:
                if child.has_ended:
                    raise child.obituary()
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        lines = "".join(f"\n    {line}" for line in child.last_lines())
        what = f"the {child.program.name} did not get ready"
        raise CannotRun(what=what, why=f"{READY_S:.0f} s have passed{lines}", remedy=f"Its whole log: {child.program.log}") from None


async def _status(port: int, path: str) -> int:
    """The status of an answer, 0 if there is none yet."""
    with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    return 0
