"""How late the event loop is: the one number that shows that something blocks it."""

import asyncio
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 1.0


async def watch(report: Callable[[float], None], every_s: float = EVERY_S) -> None:
    """Sleep, and report by how much the sleep was too long; until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_s
        await asyncio.sleep(every_s)
        report(max(0.0, loop.time() - due))


def loop_name(loop: asyncio.AbstractEventLoop) -> str:
    """Which event loop this is: `uvloop` or `asyncio`."""
    return type(loop).__module__.partition(".")[0]
