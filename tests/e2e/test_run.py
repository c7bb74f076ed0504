"""`relay run` as a program: what it says, what it leaves, how it ends."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.running import RELAY, STOP_S, Run, environ, left_of, running, starting
from tests.unit.demo.scripted import Asked, Said, scripted, streamed

WORDS = [json.dumps({"choices": [{"index": 0, "delta": {"content": f"{word} "}}]}) for word in ("one", "two", "three")]


def gone(programs: set[int]) -> bool:
    """Wait a moment until none of them is left."""
    end = time.monotonic() + STOP_S
    while left_of(programs) and time.monotonic() < end:
        time.sleep(0.02)
    return not left_of(programs)


# --- what it says and leaves


def test_its_announcement_can_be_read_by_a_script(echo: Run) -> None:
    at = next(number for number, line in enumerate(echo.lines) if line.startswith("endpoint"))
    assert [line.partition("  ")[0] for line in echo.lines[at:]] == ["endpoint", "key", "model", "admin", "try", "chat", "ready"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", echo.said("endpoint"))
    assert re.fullmatch(r"sk-[0-9a-f]{64}", echo.said("key"))
    assert echo.said("model") == "echo-1"


def test_it_proves_itself_before_it_is_ready(echo: Run) -> None:
    checks = [line for line in echo.lines if line.startswith("check  ")]
    assert len(checks) == 4
    assert all(line.endswith("  ok") for line in checks)


def test_what_it_suggests_to_try_works(echo: Run) -> None:
    command = shlex.split(echo.said("try"))
    if not Path("/usr/bin/curl").exists():
        command[0:2] = ["true"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30, env=environ(no_proxy="*"))
    assert command[0] == "true" or done.stdout.endswith(b"data: [DONE]\n\n")


def test_chat_finds_the_run_by_itself(echo: Run) -> None:
    done = subprocess.run([*RELAY, "chat", "one two three"], cwd=echo.place, env=environ(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "one two three\n")
    assert re.fullmatch(r"first token \d+ ms, 3 tokens, \d+\.\d tokens/s\n", done.stderr)


def test_everything_it_writes_is_in_one_folder_for_its_user_alone(echo: Run) -> None:
    assert [entry.name for entry in echo.place.iterdir()] == [".run"]
    assert stat.S_IMODE((echo.place / ".run").stat().st_mode) == 0o700
    for secret in ("key", "relay.toml", "running.json"):
        assert stat.S_IMODE((echo.place / ".run" / secret).stat().st_mode) == 0o600


def test_no_key_can_be_seen_in_the_list_of_processes(echo: Run) -> None:
    for pid in echo.programs():
        assert echo.said("key").encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_key_of_the_first_start_is_good_for_the_second(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with running(tmp_path, DEMO="echo") as run:
            keys.append(run.said("key"))
    assert keys[0] == keys[1]


# --- ports


def test_a_busy_port_gives_way_to_the_next_free_one_and_that_is_said(tmp_path: Path) -> None:
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # whoever has it, it is busy
            held.enter_context(socket.create_server(("127.0.0.1", 8080)))
        with running(tmp_path, PORT="", DEMO="echo") as run:
            port = int(run.said("endpoint").split(":")[2].removesuffix("/v1"))
            assert port > 8080
            assert f"port 8080 is busy: the edge takes {port} (PORT= chooses one)" in run.lines
            with run.client() as client:
                assert client.completions.create(model="echo-1", prompt="hi").choices[0].text == "hi"


def test_a_busy_port_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with starting(tmp_path, {"PORT": str(port), "DEMO": "echo"}) as run:
            assert run.process.wait(STOP_S) == 1
            assert run.complaint().startswith(f"postgate: PORT={port}: another program listens there\n")


def test_two_runs_in_one_folder_do_not_disturb_each_other(echo: Run) -> None:
    with running(echo.place, DEMO="echo") as second:
        assert second.said("admin") != echo.said("admin")
        for run in (echo, second):
            with run.client() as client:
                assert client.completions.create(model="echo-1", prompt="hi").choices[0].text == "hi"


# --- an upstream of the user's own


def test_a_provider_of_the_users_own_is_put_behind_the_same_edge(tmp_path: Path) -> None:
    with (
        scripted(lambda _: streamed(*WORDS, "[DONE]", pause_s=0.01)) as provider,
        running(tmp_path, UPSTREAM_URL=provider.url, UPSTREAM_KEY="theirs-and-secret", UPSTREAM_MODELS="big,small") as run,
    ):
        assert [line for line in run.lines if line.startswith("model")] == ["model  big", "model  small"]
        with run.client() as client:
            stream = client.chat.completions.create(model="small", messages=[{"role": "user", "content": "count"}], stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "one two three "
        assert {asked.authorization for asked in provider.asked} == {"Bearer theirs-and-secret"}
        assert "theirs-and-secret" not in "\n".join(run.lines)
        written = [path for path in (tmp_path / ".run").rglob("*") if path.is_file()]
        assert [path for path in written if b"theirs-and-secret" in path.read_bytes()] == []


def test_a_provider_that_refuses_is_reported_with_its_reason(tmp_path: Path) -> None:
    def refuse(_: Asked) -> Said:
        return Said(401, [b'{"error":{"message":"No such key.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}'])

    with (
        scripted(refuse) as provider,
        starting(tmp_path, {"PORT": "0", "UPSTREAM_URL": provider.url, "UPSTREAM_KEY": "k", "UPSTREAM_MODELS": "big"}) as run,
    ):
        assert run.process.wait(STOP_S) == 1
        complaint = run.complaint()
    assert complaint.startswith("postgate: self-check: a streamed answer: it answered ")
    assert "UPSTREAM_KEY" in complaint
    assert "Traceback" not in complaint


# --- a machine that the small model can't run on

WITHOUT_A_MODEL = """
import dataclasses, os, sys
from relay.demo import choice, stack
choice.lacking = lambda: None
program_of = stack._upstream_program
def replaced(now, chosen):
    program = program_of(now, chosen)
    dies = ("/bin/sh", "-c", "echo Illegal instruction; exit 4")
    return dataclasses.replace(program, command=dies) if chosen.kind == "model" else program
stack._upstream_program = replaced
sys.exit(stack.run_stack(os.environ))
"""


def test_a_model_that_does_not_start_gives_way_to_the_echo_and_the_reason_is_said(tmp_path: Path) -> None:
    with starting(tmp_path, {"PORT": "0"}, (sys.executable, "-c", WITHOUT_A_MODEL)) as run:
        run.until("ready")
        assert run.said("model") == "echo-1"
        assert "the upstream (model) has ended: exit code 4" in run.lines
        assert "    Illegal instruction" in run.lines
        assert any(line.startswith("upstream  echo-1, which is no model") for line in run.lines)


def test_a_model_that_was_asked_for_and_does_not_start_is_an_error(tmp_path: Path) -> None:
    with starting(tmp_path, {"PORT": "0", "DEMO": "model"}, (sys.executable, "-c", WITHOUT_A_MODEL)) as run:
        assert run.process.wait(STOP_S) == 1
        assert run.complaint().startswith("postgate: the upstream (model) has ended: exit code 4\n    Illegal instruction\n")


# --- how it ends


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_that_it_started(tmp_path: Path, how: signal.Signals) -> None:
    with running(tmp_path, DEMO="echo") as run:
        programs = run.programs()
        assert len(programs) >= 4  # the echo, the relay, nginx and its worker
        assert run.stop(how) == 0
        assert left_of(programs) == set()
        assert not (tmp_path / ".run" / "running.json").exists()


def test_a_signal_while_it_is_starting_ends_it_as_well(tmp_path: Path) -> None:
    with starting(tmp_path, {"PORT": "0", "DEMO": "echo"}) as run:
        run.until("starting  the upstream, the relay, the edge")
        time.sleep(0.2)
        programs = run.programs()
        assert run.stop(signal.SIGINT) == 0
        assert left_of(programs) == set()


def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with running(tmp_path, DEMO="echo") as run, run.client() as client:
        stream = client.chat.completions.create(model="echo-1", messages=[{"role": "user", "content": "word " * 1000}], stream=True)
        next(iter(stream))
        began = time.monotonic()
        assert run.stop() == 0
        assert time.monotonic() - began < 8  # the answer would go on for 30 s


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_make_alone_ends_everything_too(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "Makefile").write_text(f"run:\n\t@exec {shlex.join([*RELAY, 'run', '--demo'])}\n", encoding="utf-8")
    with starting(tmp_path, {"PORT": "0", "DEMO": "echo"}, ("make", "run")) as run:
        run.until("ready")
        programs = run.programs()
        assert len(programs) >= 5
        run.stop(how)
        assert gone(programs)


def test_nothing_survives_if_it_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, DEMO="echo") as run:
        programs = run.programs()
        run.process.kill()
        run.process.wait(STOP_S)
        assert gone(programs)
    with running(tmp_path, DEMO="echo"):
        pass  # and what it left behind is in nobody's way


def test_a_program_that_dies_ends_the_run_and_is_named(tmp_path: Path) -> None:
    with running(tmp_path, DEMO="echo") as run:
        programs = run.programs()
        (echo,) = [pid for pid in programs if b"relay.demo.echo" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(echo, signal.SIGKILL)
        assert run.process.wait(STOP_S) == 1
        assert run.complaint().startswith("postgate: the upstream (echo) has ended: killed by SIGKILL\n")
        assert left_of(programs) == set()
