"""The loop's lag is what a timer comes too late by."""

import asyncio
import contextlib
import time

import uvloop

from relay.telemetry.loop_lag import loop_name, watch


async def test_a_blocked_loop_is_reported_with_how_long_it_was_blocked() -> None:
    lags: list[float] = []
    watcher = asyncio.create_task(watch(lags.append, every_s=0.01))
    await asyncio.sleep(0.005)
    time.sleep(0.1)  # noqa: ASYNC251 - this is the fault that it is there to find
    await asyncio.sleep(0.02)
    watcher.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watcher
    assert max(lags) > 0.08
    assert min(lags) >= 0


async def test_it_goes_on_until_it_is_cancelled() -> None:
    lags: list[float] = []
    enough = asyncio.Event()

    def note(late_s: float) -> None:
        lags.append(late_s)
        if len(lags) == 3:
            enough.set()

    watcher = asyncio.create_task(watch(note, every_s=0.001))
    await enough.wait()
    watcher.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watcher
    assert watcher.cancelled()


def test_a_loop_is_known_by_its_maker() -> None:
    for make, name in ((asyncio.new_event_loop, "asyncio"), (uvloop.new_event_loop, "uvloop")):
        loop = make()
        assert loop_name(loop) == name
        loop.close()
