"""The nested epoll: who is called, and who is not any more."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from relay.upstream.poller import READ, WRITE, Poller
from tests.support.loops import both_loops
from tests.support.waiting import eventually

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
async def poller() -> AsyncIterator[Poller]:
    poller = Poller(asyncio.get_running_loop())
    yield poller
    poller.close()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


@both_loops
async def test_a_descriptor_is_called_for_as_long_as_it_is_ready(poller: Poller, pair: Pair) -> None:
    ours, his = pair
    read: list[bytes] = []
    poller.watch(ours.fileno(), READ, lambda: read.append(ours.recv(1)))
    his.send(b"abc")
    await eventually(lambda: read == [b"a", b"b", b"c"])
    poller.forget(ours.fileno())


@both_loops
async def test_watching_again_replaces_events_and_callback(poller: Poller, pair: Pair) -> None:
    ours, his = pair
    called: list[str] = []

    def readable() -> None:
        called.append("read")
        poller.forget(ours.fileno())

    def writable() -> None:
        called.append("write")
        poller.watch(ours.fileno(), READ, readable)

    poller.watch(ours.fileno(), READ, lambda: called.append("never"))
    poller.watch(ours.fileno(), READ | WRITE, writable)
    await eventually(lambda: called == ["write"])
    his.send(b"x")
    await eventually(lambda: called == ["write", "read"])


@both_loops
async def test_one_that_is_forgotten_in_the_same_round_is_not_called(poller: Poller) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def first_come(number: int) -> None:
        called.append(number)
        for ours, _ in pairs:
            poller.forget(ours.fileno())

    for number, (ours, his) in enumerate(pairs):
        poller.watch(ours.fileno(), READ, lambda number=number: first_come(number))  # type: ignore[misc]
        his.send(b"x")
    await eventually(lambda: called)
    await asyncio.sleep(0.01)
    assert len(called) == 1
    for ends in pairs:
        for end in ends:
            end.close()


async def test_forgetting_is_idempotent_and_known(poller: Poller, pair: Pair) -> None:
    ours, _ = pair
    poller.watch(ours.fileno(), READ, lambda: None)
    assert poller.is_watched(ours.fileno())
    poller.forget(ours.fileno())
    poller.forget(ours.fileno())
    assert not poller.is_watched(ours.fileno())


@both_loops
async def test_waiting_once_ends_with_the_event_and_watches_no_longer(poller: Poller, pair: Pair) -> None:
    ours, his = pair
    task = asyncio.create_task(poller.wait(ours.fileno(), READ))
    await asyncio.sleep(0.005)
    assert not task.done()
    his.send(b"x")
    await task
    assert not poller.is_watched(ours.fileno())


async def test_waiting_that_is_cancelled_watches_no_longer(poller: Poller, pair: Pair) -> None:
    ours, _ = pair
    task = asyncio.create_task(poller.wait(ours.fileno(), READ))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not poller.is_watched(ours.fileno())


async def test_many_ready_descriptors_leave_the_loop_its_turn(poller: Poller) -> None:
    """More than one round's worth: all are served, and a timer is not kept waiting for all of them."""
    pipes = [os.pipe() for _ in range(300)]
    served: set[int] = set()
    rounds: list[int] = []

    def read(fd: int) -> None:
        os.read(fd, 1)
        served.add(fd)

    for reading, writing in pipes:
        os.write(writing, b"x")
        poller.watch(reading, READ, lambda reading=reading: read(reading))  # type: ignore[misc]
    while len(served) < len(pipes):
        await asyncio.sleep(0)
        rounds.append(len(served))
    assert len(set(rounds) - {0, len(pipes)}) > 0
    for reading, writing in pipes:
        poller.forget(reading)
        os.close(reading)
        os.close(writing)


async def test_a_callback_that_raises_is_forgotten_and_stalls_nobody(poller: Poller) -> None:
    loop = asyncio.get_running_loop()
    told: list[object] = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    pairs = [socket.socketpair() for _ in range(3)]
    served: set[int] = set()

    def serve(number: int) -> None:
        if not number:
            raise ZeroDivisionError
        served.add(number)

    for number, (ours, his) in enumerate(pairs):
        poller.watch(ours.fileno(), READ, lambda number=number: serve(number))  # type: ignore[misc]
        his.send(b"x")
    await eventually(lambda: served == {1, 2})
    assert len(told) == 1
    loop.set_exception_handler(None)
    for ours, his in pairs:
        poller.forget(ours.fileno())
        ours.close()
        his.close()


async def test_closing_lets_go_of_all_and_may_be_done_twice(poller: Poller, pair: Pair) -> None:
    ours, his = pair
    poller.watch(ours.fileno(), READ, lambda: pytest.fail("called"))
    poller.close()
    poller.close()
    his.send(b"x")
    await asyncio.sleep(0.005)
    poller.forget(ours.fileno())
