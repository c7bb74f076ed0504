"""The caller's side: bytes leave in order, at once or when there is room, and never to anybody else."""

import asyncio
import os
import socket

import pytest

from relay.ports import ClientGone
from relay.upstream import outlet as outlet_module
from relay.upstream.outlet import SocketOutlet
from tests.support.loops import both_loops
from tests.support.waiting import eventually
from tests.unit.upstream.rig import Rig

BIG = os.urandom(1 << 20)


def is_clear(outlet: SocketOutlet) -> bool:
    """Asked anew each time, whatever a type checker has concluded."""
    return outlet.is_clear


async def test_the_head_leaves_with_the_first_bytes_and_not_before(rig: Rig) -> None:
    caller, outlet = rig.caller()
    assert not outlet.begun
    outlet.write(b"one")
    outlet.write(b"two")
    assert outlet.begun
    await caller.more()
    assert caller.unread == b"HEAD|onetwo"


@both_loops
async def test_what_the_socket_does_not_take_waits_and_leaves_in_order(rig: Rig) -> None:
    caller, outlet = rig.caller()
    outlet.write(b"before")
    assert is_clear(outlet)
    outlet.write(BIG)
    outlet.write(b"behind")
    assert outlet.waiting
    assert outlet.stuck_since is not None
    assert not is_clear(outlet)
    flushed = asyncio.create_task(outlet.flushed())
    assert await caller.until(b"behind") == b"HEAD|before" + BIG + b"behind"
    await flushed
    assert outlet.waiting == 0
    assert is_clear(outlet)
    outlet.write(b"again")
    assert await caller.until(b"again") == b"again"


async def test_whoever_was_paused_is_called_once_there_is_room(rig: Rig) -> None:
    caller, outlet = rig.caller()
    calls = []
    outlet.write(BIG)
    outlet.when_room(lambda: calls.append(outlet.waiting))
    await asyncio.sleep(0.01)
    assert calls == []
    await caller.until(BIG[-20:])
    await eventually(lambda: calls == [0])
    outlet.write(BIG)
    await caller.until(BIG[-20:])
    assert calls == [0]


async def test_the_clock_of_a_stuck_caller_starts_when_he_last_took_something(rig: Rig) -> None:
    caller, outlet = rig.caller()
    outlet.write(BIG)
    began = outlet.stuck_since
    rig.ahead_s = 5
    outlet.write(b"behind")
    outlet.keep(b"more")
    assert outlet.stuck_since == began
    await caller.more()
    await eventually(lambda: outlet.stuck_since != began)
    assert outlet.stuck_since is not None
    assert began is not None
    assert outlet.stuck_since >= began + 5


async def test_a_caller_who_has_closed_is_gone(rig: Rig) -> None:
    caller, outlet = rig.caller()
    caller.fin()
    with pytest.raises(ClientGone):
        outlet.write(b"x")


async def test_a_caller_who_closes_while_bytes_wait_is_gone(rig: Rig) -> None:
    caller, outlet = rig.caller()
    resumed = asyncio.Event()
    outlet.write(BIG)
    outlet.when_room(resumed.set)
    flushed = asyncio.create_task(outlet.flushed())
    await asyncio.sleep(0)
    caller.fin()
    with pytest.raises(ClientGone):
        await flushed
    assert resumed.is_set()
    with pytest.raises(ClientGone):
        outlet.write(b"x")


async def test_flushing_is_given_up_in_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet_module, "SEND_TIMEOUT_S", 0.02)
    _, outlet = rig.caller()
    outlet.write(BIG)
    with pytest.raises(ClientGone) as gone:
        await outlet.flushed()
    assert gone.value.reason == "send_timeout"


async def test_a_caller_who_takes_a_little_at_a_time_is_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet_module, "SEND_TIMEOUT_S", 0.1)
    caller, outlet = rig.caller(send_buffer=4096)
    outlet.write(b"x" * 200_000)
    flushed = asyncio.create_task(outlet.flushed())
    for _ in range(8):
        await asyncio.sleep(0.03)
        waiting = outlet.waiting
        await caller.more()
        await eventually(lambda waiting=waiting: outlet.waiting < waiting)  # type: ignore[misc]
    assert not flushed.done()
    with pytest.raises(ClientGone):
        await flushed


async def test_closing_lets_go_of_what_waits_and_may_be_done_twice(rig: Rig) -> None:
    caller, outlet = rig.caller()
    outlet.write(BIG)
    outlet.close()
    outlet.close()
    read = await caller.rest()
    assert (b"HEAD|" + BIG).startswith(read)
    assert len(read) < len(BIG)
    with pytest.raises(ClientGone):
        outlet.write(b"x")


async def test_bytes_never_go_to_whoever_got_the_servers_descriptor_next(rig: Rig) -> None:
    """The server closes its descriptor, and the next connection gets the same number."""
    ours, his = socket.socketpair()
    number = ours.fileno()
    outlet = rig.pool.outlet(os.dup(number))
    ours.close()
    strangers = [socket.socketpair() for _ in range(3)]
    try:
        assert number in {end.fileno() for pair in strangers for end in pair}
        outlet.write(b"for him alone")
        assert his.recv(100) == b"for him alone"
        for pair in strangers:
            for end in pair:
                end.setblocking(False)  # noqa: FBT003 - the socket's own signature
                with pytest.raises(BlockingIOError):
                    end.recv(100)
    finally:
        outlet.close()
        for end in (his, *(end for pair in strangers for end in pair)):
            end.close()
