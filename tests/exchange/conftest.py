"""What all tests of the running relay share."""

import logging
from collections.abc import AsyncIterator

import pytest

from tests.exchange.running import Running, channel_to, running
from tests.support.builders import KEY
from tests.support.caller import chat
from tests.support.loops import pytest_asyncio_loop_factories
from tests.support.upstream import ScriptedUpstream, completion, json_answer, say

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def relay(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Running]:
    """A relay whose upstream must not be reached but by good requests; nothing that it logs may be a warning or hold a key."""
    caplog.set_level(logging.DEBUG)
    async with ScriptedUpstream((say(json_answer(completion())),)) as upstream, running(channel_to(upstream), body_timeout_s=0.1) as relay:
        yield relay
        assert all(heard.json == chat() for heard in upstream.heard)
    assert KEY not in caplog.text
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
