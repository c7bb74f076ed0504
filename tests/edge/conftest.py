"""One edge per nginx and module, shared by its tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.running import Edge, found, running

FOUND = found()


@pytest.fixture(scope="module", params=list(FOUND.values()), ids=list(FOUND))
def nginx(request: pytest.FixtureRequest) -> Path:
    """Each nginx of this machine: the wheel's, and the distribution's where there is one."""
    assert isinstance(request.param, Path)
    return request.param


@pytest.fixture(scope="module")
def edge(nginx: Path) -> Iterator[Edge]:
    """An edge with the default settings, but for limits that a fast test would meet."""
    with running(nginx) as edge:
        yield edge
