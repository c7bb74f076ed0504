"""Waiting for what is seen from outside only: a kernel's state, a peer's."""

import asyncio
from collections.abc import Callable
from pathlib import Path


async def eventually(happened: Callable[[], object], within_s: float = 2.0) -> None:
    """Wait until it has happened."""
    async with asyncio.timeout(within_s):
        while not happened():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.002)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
