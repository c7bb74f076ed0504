"""Waiting until a program answers."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.demo import readiness
from relay.demo.fault import CannotRun
from relay.demo.processes import Child, Program
from relay.demo.readiness import until_answering
from tests.unit.demo.scripted import Said, scripted


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[Child]:
    child = await Child.start(Program("relay", ("/bin/sh", "-c", "echo starting; exec sleep 60"), os.environ, tmp_path / "log"))
    yield child
    await child.stop()


async def test_it_waits_until_the_answer_has_the_wanted_status(child: Child) -> None:
    statuses = iter([503, 503, 200])
    with scripted(lambda _: Said(status=next(statuses))) as server:
        await until_answering(child, server.port, "/readyz", status=200)
    assert [(asked.method, asked.path) for asked in server.asked] == [("GET", "/readyz")] * 3


async def test_nobody_listening_yet_and_an_answer_that_is_none_are_waited_out(child: Child) -> None:
    connections = 0

    async def nonsense_then_fine(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if connections > 2 else b"\r\n")
        writer.close()

    closed = await asyncio.start_server(nonsense_then_fine, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    waiting = asyncio.create_task(until_answering(child, port, "/", status=200))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    async with await asyncio.start_server(nonsense_then_fine, "127.0.0.1", port):
        await waiting
    assert connections == 3


async def test_a_program_that_ends_first_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = await Child.start(Program("relay", ("/bin/sh", "-c", "echo no good; exit 4"), os.environ, tmp_path / "log"))
    with pytest.raises(CannotRun, match=r"the relay has ended: exit code 4\n    no good\n"):
        await until_answering(child, 9, "/readyz", status=200)


async def test_a_program_that_takes_too_long_is_reported(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "READY_S", 0.3)
    with scripted(lambda _: Said(status=503)) as server, pytest.raises(CannotRun, match=r"the relay did not get ready: 0 s have passed"):
        await until_answering(child, server.port, "/readyz", status=200)


async def test_a_program_that_never_answers_does_not_hold_up_the_wait(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_ANSWER_S", 0.05)
    silent = asyncio.Event()
    seen = 0

    async def silent_at_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        await reader.readline()
        if seen > 1:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            writer.close()
            silent.set()
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(silent_at_first, "127.0.0.1", 0) as server:
        await until_answering(child, server.sockets[0].getsockname()[1], "/", status=200)
    assert seen == 2
