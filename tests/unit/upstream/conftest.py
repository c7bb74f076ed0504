"""What all tests of the upstream side share."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from tests.support.loops import pytest_asyncio_loop_factories
from tests.unit.upstream.rig import Authority, Rig

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority, and a server that it knows by the name localhost."""
    ca, folder = trustme.CA(), tmp_path_factory.mktemp("ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    file = Path(folder / "ca.pem")
    ca.cert_pem.write_to_path(str(file))
    return Authority(context, str(file))
