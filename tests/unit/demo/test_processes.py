"""Programs that a run starts, and how they end."""

import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest

from relay.demo import processes
from relay.demo.processes import Child, Program
from tests.unit.demo.living import is_running

Start = Callable[[str], Coroutine[None, None, Child]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a shell with a script."""
    children: list[Child] = []

    async def start_one(script: str) -> Child:
        environ = {"PATH": os.environ["PATH"], "ONLY": "this"}
        child = await Child.start(Program("upstream", ("/bin/sh", "-c", script), environ, tmp_path / "log"))
        children.append(child)
        return child

    yield start_one
    for child in children:
        await child.stop()


async def said(child: Child) -> list[str]:
    """Wait until it has said something."""
    end = time.monotonic() + 10
    while not (lines := child.last_lines()) and time.monotonic() < end:
        time.sleep(0.01)  # noqa: ASYNC251 - nothing else runs
    return lines


async def test_its_output_goes_into_its_log(start: Start) -> None:
    child = await start("echo to one; echo to the other >&2")
    await child.ended()
    assert child.last_lines() == ["to one", "to the other"]


async def test_it_has_the_environment_it_was_given_and_no_other(start: Start) -> None:
    child = await start("env | grep -v -e PWD -e SHLVL -e _= -e LC_CTYPE | sort")
    await child.ended()
    assert child.last_lines() == ["ONLY=this", f"PATH={os.environ['PATH']}"]


async def test_it_has_a_session_of_its_own_so_that_ctrl_c_passes_it_by(start: Start) -> None:
    child = await start("echo $$; exec sleep 60")
    pid = int((await said(child))[0])
    assert os.getsid(pid) == pid != os.getsid(0)


async def test_it_is_asked_to_end_first(start: Start) -> None:
    child = await start("trap 'echo ending; exit 0' TERM; echo ready; while :; do sleep 0.02; done")
    await said(child)
    await child.stop()
    assert child.last_lines() == ["ready", "ending"]
    assert child.has_ended


async def test_it_is_killed_with_all_that_it_started_if_it_does_not_listen(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.2)
    child = await start("trap '' TERM; sleep 60 & echo $!; while :; do sleep 1; done")
    grandchild = int((await said(child))[0])
    await child.stop()
    end = time.monotonic() + 10
    while is_running(grandchild) and time.monotonic() < end:
        time.sleep(0.01)  # noqa: ASYNC251 - nothing else runs
    assert not is_running(grandchild)


async def test_its_obituary_says_how_it_ended_and_what_it_said_last(start: Start) -> None:
    child = await start("seq 1 100; exit 3")
    await child.ended()
    text = str(child.obituary())
    assert text.startswith("the upstream has ended: exit code 3\n    89\n    90\n")
    assert text.endswith(f"\n    100\nIts whole log: {child.program.log}")


async def test_its_obituary_names_the_signal_that_killed_it(start: Start) -> None:
    child = await start("kill -KILL $$")
    await child.ended()
    assert "the upstream has ended: killed by SIGKILL" in str(child.obituary())


async def test_stopping_what_has_ended_does_nothing(start: Start) -> None:
    child = await start("exit 0")
    await child.ended()
    await child.stop()
    assert child.has_ended
