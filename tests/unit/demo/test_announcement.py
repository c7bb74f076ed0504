"""What a run prints."""

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from relay.demo.announcement import Speaker, lines

SPEAK_TO_NOBODY = """
import sys
from relay.demo.announcement import Speaker
say = Speaker(sys.stdout)
sys.stdin.readline()
for _ in range(3):
    say("is anybody there?")
"""


def announced(models: tuple[str, ...] = ("echo-1",)) -> list[str]:
    return list(lines(8080, 8101, "sk-k", models))


def test_the_lines_that_others_read_come_in_their_order() -> None:
    assert announced()[:4] == ["endpoint  http://127.0.0.1:8080/v1", "key  sk-k", "model  echo-1", "admin  http://127.0.0.1:8101"]


def test_ready_is_the_last_word() -> None:
    assert announced()[-1] == "ready"


def test_each_model_has_a_line() -> None:
    assert [line for line in announced(("a", "b")) if line.startswith("model")] == ["model  a", "model  b"]


def test_what_to_try_is_one_line_that_a_shell_understands() -> None:
    line = announced(("it's",))[-3]
    word, *command = shlex.split(line)
    assert word == "try"
    assert command[:3] == ["curl", "-N", "http://127.0.0.1:8080/v1/chat/completions"]
    assert "Authorization: Bearer sk-k" in command
    body = json.loads(command[-1])
    assert (body["model"], body["stream"]) == ("it's", True)


@pytest.mark.parametrize(("folder", "typed"), [("bin", "bin/relay"), (".", "relay")])
def test_the_command_is_named_as_it_can_be_typed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, typed: str) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "relay").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / folder / "relay")])
    assert announced()[-2].startswith(f"chat  {typed} chat ")


def test_a_command_elsewhere_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "relay").touch()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "relay")])
    assert announced()[-2].startswith(f"chat  {tmp_path}/relay chat ")
    monkeypatch.setattr(sys, "argv", ["-m"])
    assert announced()[-2].startswith("chat  relay chat ")


def test_each_line_goes_out_at_once() -> None:
    class Flushed(io.StringIO):
        seen = ""

        def flush(self) -> None:
            self.seen = self.getvalue()

    out = Flushed()
    Speaker(out)("one")
    assert out.seen == "one\n"


def test_a_reader_who_has_left_does_not_end_the_run() -> None:
    speaker = subprocess.Popen([sys.executable, "-c", SPEAK_TO_NOBODY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ)
    assert speaker.stdin
    assert speaker.stdout
    speaker.stdout.close()
    speaker.stdin.write(b"\n")
    speaker.stdin.close()
    assert speaker.wait(10) == 0
