"""Noticing that make was told to end."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from relay.demo import parent
from relay.demo.parent import caught, is_make, watch


def status(name: str, *signals: signal.Signals) -> str:
    mask = sum(1 << (number - 1) for number in signals)
    return f"Name:\t{name}\nUmask:\t0022\nSigIgn:\t0000000000001000\nSigCgt:\t{mask:016x}\n"


BOTH = status("make", signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


async def stops(monkeypatch: pytest.MonkeyPatch, statuses: Iterator[str]) -> bool:
    """Whether the watch over these sights of the parent calls to stop."""
    monkeypatch.setattr(parent, "_LOOK_EVERY_S", 0)
    monkeypatch.setattr(parent, "_status", lambda _: next(statuses))
    told = asyncio.Event()
    await watch(told.set)
    return told.is_set()


def test_make_is_known_by_its_name() -> None:
    assert is_make(BOTH)
    assert is_make(status("gmake"))
    assert not is_make(status("bash"))
    assert not is_make("")


def test_handlers_are_read_from_the_mask() -> None:
    assert caught(BOTH) == {signal.SIGINT, signal.SIGHUP}
    assert caught(status("make", signal.SIGTERM)) == set()
    assert caught("") == set()


async def test_a_handler_that_make_has_laid_down_means_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await stops(monkeypatch, iter([BOTH, BOTH, BOTH, status("make", signal.SIGHUP)]))


async def test_a_make_that_is_gone_means_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await stops(monkeypatch, iter([BOTH, BOTH, ""]))


async def test_another_parent_taking_its_place_means_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([4711, 4711, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    assert await stops(monkeypatch, iter([BOTH, BOTH, BOTH]))


async def test_a_signal_that_make_ignored_from_the_start_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # As behind nohup, or in the background of a shell. The third sight ends the test.
    ignoring = status("make", signal.SIGHUP)
    assert await stops(monkeypatch, iter([ignoring, ignoring, status("make")]))


async def test_any_other_parent_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not await stops(monkeypatch, iter([status("bash", signal.SIGINT)]))
