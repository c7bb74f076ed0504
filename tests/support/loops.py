"""Both event loops, stock asyncio and uvloop, for the tests that ask for both. A conftest.py imports the hook to offer them."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

both_loops = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Only asyncio, unless a test names its loops."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
