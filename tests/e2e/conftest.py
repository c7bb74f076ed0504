"""One run per kind of upstream, shared by all tests of a session."""

from collections.abc import Iterator

import openai
import pytest

from tests.e2e.running import Run, running


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """Reach this machine directly, whatever proxy the environment names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """nginx, the relay and the echo."""
    with running(tmp_path_factory.mktemp("echo"), DEMO="echo") as run:
        yield run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """nginx, the relay and the real small model. What it lacks, if it can't run, is the failure."""
    with running(tmp_path_factory.mktemp("model"), DEMO="model") as run:
        yield run


@pytest.fixture
def client(echo: Run) -> Iterator[openai.OpenAI]:
    with echo.client() as client:
        yield client
