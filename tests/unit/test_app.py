"""The composition root: what it builds runs, listens where it should, and stops without cutting anybody off."""

import asyncio
import contextlib
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay import app
from relay.app import (
    SystemChance,
    SystemClock,
    build,
    drained,
    listening,
    new_request_id,
    readiness,
    serve,
    sweep_s,
    unix_socket,
)
from relay.config.schema import Settings
from relay.domain.access import digest_of, hash_text
from relay.domain.usage import Usage
from tests.support.builders import KEY
from tests.support.caller import Caller, chat, request
from tests.support.ports import Observer
from tests.support.settings import settings
from tests.support.upstream import LAST, ScriptedUpstream, chunk, event, head, say, silence, story, stream, until
from tests.support.waiting import eventually

STREAM = request(chat(stream=True, model="m"))


def settings_for(upstream: ScriptedUpstream, tmp_path: Path, **server: object) -> Settings:
    """Listening on unix sockets in a folder of the test's own."""
    return settings(
        {"listen": f"unix:{tmp_path / 'run' / 'relay.sock'}", "admin": f"unix:{tmp_path / 'admin.sock'}", **server},
        channels=({"base_url": f"http://127.0.0.1:{upstream.port}/v1"},),
        keys=({"hash": hash_text(digest_of(KEY))},),
    )


async def test_what_is_built_serves(tmp_path: Path) -> None:
    async with ScriptedUpstream((say(stream(*story("Hi"))),)) as upstream:
        observer = Observer()
        relay = build(settings_for(upstream, tmp_path), observer, asyncio.get_running_loop())
        async with listening(relay.server, f"unix:{tmp_path / 'relay.sock'}"):
            caller = await Caller.connect(tmp_path / "relay.sock")
            reply = await caller.ask(STREAM)
            caller.fin()
            await relay.server.shutdown(1)
        relay.pool.close()
        assert (reply.status, reply.body, reply.is_whole) == (200, b"".join(story("Hi")), True)
        assert relay.ledger.spent("alice") == Usage(3, 1)
        assert relay.ledger.held == 0
        assert observer.report.code == ""


@pytest.mark.parametrize(
    ("server", "channel", "expected"),
    [
        ({}, {}, 1.0),
        ({"ping_interval": 2}, {}, 0.5),
        ({}, {"idle_timeout": 1}, 0.25),
        ({}, {"first_byte_timeout": 0.01}, 0.05),
        ({"total_timeout": 3600}, {"idle_timeout": 3600}, 1.0),
    ],
)
def test_deadlines_are_looked_at_four_times_within_the_shortest(
    server: dict[str, object], channel: dict[str, object], expected: float
) -> None:
    assert sweep_s(settings(server, channels=(channel,))) == expected


def test_time_goes_on_and_chance_gives_each_its_turn() -> None:
    clock, chance = SystemClock(), SystemChance()
    assert clock.monotonic() <= clock.monotonic()
    first = chance.turn()
    assert [chance.turn() for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_request_ids_are_like_nginxs_and_all_different() -> None:
    ids = {new_request_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in ids)


# --- listening


def test_a_unix_socket_is_for_owner_and_group_alone(tmp_path: Path) -> None:
    path = tmp_path / "run" / "relay.sock"
    unix_socket(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


def test_a_dead_socket_in_the_way_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    unix_socket(path).close()
    assert path.is_socket()
    unix_socket(path).close()


def test_a_live_socket_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    with unix_socket(path) as live:
        live.listen()
        with pytest.raises(OSError, match="is served by another process"):
            unix_socket(path)
        assert path.is_socket()


def test_a_file_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        unix_socket(path)
    assert path.read_text() == "precious"


async def test_the_sockets_file_goes_with_the_listener(tmp_path: Path) -> None:
    async with ScriptedUpstream((say(b""),)) as upstream:
        relay = build(settings_for(upstream, tmp_path), Observer(), asyncio.get_running_loop())
        async with listening(relay.server, f"unix:{tmp_path / 'relay.sock'}"):
            assert (tmp_path / "relay.sock").exists()
        assert not (tmp_path / "relay.sock").exists()
        relay.pool.close()


async def test_a_host_and_a_port_are_listened_at_as_well(tmp_path: Path) -> None:
    async with ScriptedUpstream((say(stream(*story("Hi"))),)) as upstream:
        relay = build(settings_for(upstream, tmp_path), Observer(), asyncio.get_running_loop())
        async with listening(relay.server, "127.0.0.1:0") as listener:
            caller = await Caller.connect(listener.sockets[0].getsockname()[1])
            assert (await caller.ask(STREAM)).is_whole
            caller.fin()
            await relay.server.shutdown(1)
        relay.pool.close()


# --- running and stopping


@contextlib.asynccontextmanager
async def served(served_settings: Settings) -> AsyncIterator[asyncio.Event]:
    """`serve` in a task of its own; setting the event stops it."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(served_settings, stopped=stop))
    path = Path(served_settings.server.listen.removeprefix("unix:"))
    await eventually(lambda: task.done() or path.exists())
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def test_a_relay_that_is_told_to_stop_finishes_its_streams_and_takes_no_new_ones(tmp_path: Path) -> None:
    gate = asyncio.Event()
    script = (say(head() + chunk(event("Hi"))), until(gate), say(chunk(*story("there")) + LAST))
    async with ScriptedUpstream(script) as upstream:
        chosen = settings_for(upstream, tmp_path)
        path = Path(chosen.server.listen.removeprefix("unix:"))
        async with served(chosen) as stop:
            caller = await Caller.connect(path)
            await caller.send(STREAM)
            await caller.until(event("Hi"))
            stop.set()
            await asyncio.sleep(0.05)
            with pytest.raises(OSError):  # noqa: PT011 - refused or gone, by the loop's own order
                await Caller.connect(path)
            gate.set()
            assert (await caller.rest()).endswith(chunk(*story("there")) + LAST)
            caller.fin()
        assert not list(path.parent.iterdir())


async def test_a_drain_does_not_wait_longer_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_SHUTDOWN_S", 0.1)
    async with ScriptedUpstream((say(head() + chunk(event("Hi"))), silence)) as upstream:
        chosen = settings_for(upstream, tmp_path, drain=0.1)
        async with served(chosen) as stop:
            caller = await Caller.connect(Path(chosen.server.listen.removeprefix("unix:")))
            await caller.send(STREAM)
            await caller.until(event("Hi"))
            stop.set()
            assert not (await caller.rest()).endswith(LAST)
            caller.fin()
        await eventually(lambda: upstream.open == 0)


async def test_draining_ends_with_the_last_exchange(tmp_path: Path) -> None:
    async with ScriptedUpstream((say(b""),)) as upstream:
        relay = build(settings_for(upstream, tmp_path), Observer(), asyncio.get_running_loop())
        relay.public.open = 1
        task = asyncio.create_task(drained(relay.public, 10))
        await asyncio.sleep(0.06)
        assert not task.done()
        relay.public.open = 0
        await asyncio.wait_for(task, 1)
        relay.pool.close()


async def test_a_relay_is_ready_while_it_has_channels_and_does_not_stop(tmp_path: Path) -> None:
    async with ScriptedUpstream((say(b""),)) as upstream:
        chosen = settings_for(upstream, tmp_path)
        relay = build(chosen, Observer(), asyncio.get_running_loop())
        assert readiness(chosen, relay) == (True, [])
        assert readiness(settings(channels=()), relay) == (False, ["no channel is configured"])
        relay.public.is_draining = True
        assert readiness(chosen, relay) == (False, ["draining"])
        relay.pool.close()


async def test_an_address_that_is_taken_is_a_readable_error(tmp_path: Path) -> None:
    async with ScriptedUpstream((say(b""),)) as upstream:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            chosen = settings_for(upstream, tmp_path, listen=f"127.0.0.1:{taken.getsockname()[1]}")
            with pytest.raises(OSError, match="address"):
                await serve(chosen)


async def test_an_admin_address_that_is_taken_is_as_readable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        chosen = settings({"listen": f"unix:{tmp_path}/r.sock", "admin": f"127.0.0.1:{taken.getsockname()[1]}"})
        with pytest.raises(OSError, match="in use"):
            await serve(chosen)
    assert not (tmp_path / "r.sock").exists()


async def test_the_admin_listener_tells_of_the_public_one(tmp_path: Path) -> None:
    async with ScriptedUpstream((say(stream(*story("Hi"))),)) as upstream:
        chosen = settings_for(upstream, tmp_path)
        async with served(chosen):
            public = await Caller.connect(Path(chosen.server.listen.removeprefix("unix:")))
            assert (await public.ask(STREAM)).is_whole
            admin = await Caller.connect(tmp_path / "admin.sock")
            ask = request(b"", key="", method="GET", path="/metrics").replace(b"relay.test", b"localhost")
            reply = await admin.ask(ask)
            assert reply.status == 200
            assert b"relay_requests_total{" in reply.body
            for caller in (public, admin):
                caller.fin()
    assert not list((tmp_path / "run").iterdir())
