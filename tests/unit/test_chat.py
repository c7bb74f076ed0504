"""`relay chat`: a conversation through the edge."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relay.chat import Answer, ChatFailed, Target, events, find_target, printable, stream, talk
from tests.unit.demo.scripted import Said, Scripted, scripted, streamed

ASK_ONCE = """
import signal, sys
from relay.chat import talk
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
sys.exit(talk("go on", model="m", url=sys.argv[1], environ={"RELAY_KEY": "sk-k"}))
"""


def event(content: str | None, finish: str | None = None) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}]})


USAGE = json.dumps({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 40, "total_tokens": 43}})
HELLO = streamed(event("Hel"), event("lo"), event(None, "stop"), USAGE, "[DONE]", pause_s=0.002)


def said(answer: Said, prompt: str | None = "hi") -> tuple[int, Scripted]:
    with scripted(lambda _: answer) as server:
        return talk(prompt, model="m", url=server.url, environ={"RELAY_KEY": "sk-k"}), server


def leave(place: Path, number: str, url: str, model: str) -> None:
    """Leave what a run leaves."""
    folder = place / ".run" / number
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "running.json").write_text(json.dumps({"url": url, "model": model, "pid": 1}), encoding="utf-8")
    (folder / "key").write_text(f"sk-{model}\n", encoding="ascii")


# --- one prompt


def test_the_answer_goes_to_standard_output_and_the_figures_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    code, server = said(HELLO)
    out, err = capsys.readouterr()
    assert (code, out) == (0, "Hello\n")
    assert err.startswith("first token ")
    assert " ms, 40 tokens, " in err
    assert err.endswith(" tokens/s\n")
    assert [(asked.method, asked.path, asked.authorization) for asked in server.asked] == [("POST", "/v1/chat/completions", "Bearer sk-k")]
    body = json.loads(server.asked[0].body)
    assert (body["model"], body["messages"], body["stream"]) == ("m", [{"role": "user", "content": "hi"}], True)


def test_an_error_is_said_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    body = {"error": {"message": "Incorrect API key provided.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}}
    assert said(Said(401, [json.dumps(body).encode()]))[0] == 1
    assert capsys.readouterr() == ("", "relay chat: 401 invalid_api_key: Incorrect API key provided.\n")


@pytest.mark.parametrize(
    ("body", "text"), [(b"<html>no</html>", "<html>no</html>"), (b"", "Bad Gateway"), (b'{"error":"no"}', '{"error":"no"}')]
)
def test_an_answer_of_something_else_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], body: bytes, text: str) -> None:
    assert said(Said(502, [body] if body else []))[0] == 1
    assert capsys.readouterr().err == f"relay chat: 502 {text}\n"


def test_an_error_inside_a_stream_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    answer = streamed(event("Hel"), '{"error":{"message":"The upstream broke off.","type":"server_error","code":null}}')
    assert said(answer)[0] == 1
    assert capsys.readouterr().err == "relay chat: server_error: The upstream broke off.\n"


@pytest.mark.parametrize("breaks_off", [True, False])
def test_an_answer_that_was_cut_is_never_taken_for_a_whole_one(capsys: pytest.CaptureFixture[str], *, breaks_off: bool) -> None:
    assert said(streamed(event("Hel"), breaks_off=breaks_off))[0] == 1
    out, err = capsys.readouterr()
    assert out == "Hel\n"
    assert "was cut" in err


def test_nobody_there_is_said_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(lambda _: HELLO) as server:
        pass
    assert talk("hi", model="m", url=server.url, environ={"RELAY_KEY": "sk-k"}) == 1
    assert f"nothing answers at {server.url}; start it with `make run`" in capsys.readouterr().err


def test_ctrl_c_stops_the_answer_and_what_has_come_is_kept() -> None:
    with scripted(lambda _: streamed(*[event("word ")] * 1000, pause_s=0.02)) as server:
        chat = subprocess.Popen([sys.executable, "-c", ASK_ONCE, server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert chat.stdout
        assert chat.stdout.read(5) == "word "
        chat.send_signal(signal.SIGINT)
        rest, err = chat.communicate(timeout=10)
    assert chat.returncode == 130
    assert rest.replace("word ", "") == "\n"
    assert err.startswith("first token ")
    assert "Traceback" not in err


# --- a conversation


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    lines = io.StringIO("first\n\n  \nsecond\n")
    monkeypatch.setattr(sys, "stdin", lines)
    return lines


def test_each_line_is_a_turn_and_what_was_said_before_goes_along(typed: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    code, server = said(HELLO, None)
    assert code == 0
    assert capsys.readouterr().out == "Hello\nHello\n"
    assert typed.read() == ""
    assert [[message["content"] for message in json.loads(asked.body)["messages"]] for asked in server.asked] == [
        ["first"],
        ["first", "Hello", "second"],
    ]


def test_a_conversation_that_is_read_from_a_file_ends_with_its_first_error(typed: io.StringIO) -> None:
    code, server = said(Said(500, [b"no"]), None)
    assert (code, len(server.asked)) == (1, 1)
    assert typed.read() != "first"


# --- whom to talk to


def test_a_running_stack_is_found_with_its_key_and_its_model(tmp_path: Path) -> None:
    leave(tmp_path, "", "http://127.0.0.1:8080/v1", "a")
    assert find_target(None, None, None, tmp_path) == Target("http://127.0.0.1:8080/v1", "sk-a", "a")


def test_the_latest_of_several_is_the_one(tmp_path: Path) -> None:
    leave(tmp_path, "", "http://127.0.0.1:8080/v1", "a")
    leave(tmp_path, "2", "http://127.0.0.1:8081/v1", "b")
    os.utime(tmp_path / ".run" / "running.json", (1, 1))
    assert find_target(None, None, None, tmp_path).model == "b"


def test_what_is_given_goes_before_what_is_found(tmp_path: Path) -> None:
    leave(tmp_path, "", "http://127.0.0.1:8080/v1", "a")
    assert find_target(None, "m", "sk-mine", tmp_path) == Target("http://127.0.0.1:8080/v1", "sk-mine", "m")
    assert find_target("http://127.0.0.1:8080/v1/", None, None, tmp_path).key == "sk-a"


def test_the_key_of_a_running_stack_is_never_sent_elsewhere(tmp_path: Path) -> None:
    leave(tmp_path, "", "http://127.0.0.1:8080/v1", "a")
    with pytest.raises(ChatFailed, match="no key for http://elsewhere/v1: set RELAY_KEY"):
        find_target("http://elsewhere/v1", "m", None, tmp_path)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ChatFailed, match="`make run` is not running here"):
        find_target(None, None, "sk-k", tmp_path)
    with pytest.raises(ChatFailed, match="name one with -m"):
        find_target("http://elsewhere/v1", None, "sk-k", tmp_path)


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"url": "http://127.0.0.1:8080/v1"}'])
def test_a_broken_note_counts_as_none(tmp_path: Path, broken: str) -> None:
    leave(tmp_path, "", "http://127.0.0.1:8080/v1", "a")
    (tmp_path / ".run" / "running.json").write_text(broken, encoding="utf-8")
    with pytest.raises(ChatFailed, match="is not running here"):
        find_target(None, None, None, tmp_path)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v1", "127.0.0.1:8080", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ChatFailed, match="is no endpoint"):
        list(stream(Target(url, "k", "m"), [], Answer()))


# --- the wire


def test_comments_blank_lines_and_nonsense_are_passed_over() -> None:
    lines = [
        b": ping\n",
        b"\n",
        b"event: x\n",
        b"data: nonsense\n",
        b"data: [1]\n",
        b'data:{"a":1}\r\n',
        b"data: [DONE]\n",
        b'data: {"a":2}\n',
    ]
    assert list(events(iter(lines))) == [{"a": 1}, None]


def test_thinking_is_shown_too() -> None:
    answer = Answer()
    thought = '{"choices":[{"delta":{"reasoning_content":"hm"}}]}'
    with scripted(lambda _: streamed(thought, event(None, "stop"))) as server:
        assert list(stream(Target(server.url, "k", "m"), [], answer)) == ["hm"]
    assert answer.finished


def test_what_would_steer_a_terminal_is_left_out() -> None:
    assert printable("a\x1b[31mb\r\n\tc\x07日\u202e") == "a[31mb\n\tc日"


def test_figures_are_told_as_far_as_there_are_any() -> None:
    answer = Answer(asked_at=10.0)
    assert answer.figures() == "no token came"
    answer.add("a", 10.25)
    assert answer.figures() == "first token 250 ms, 1 tokens"
    answer.add("b", 11.25)
    answer.add("c", 12.25)
    assert answer.figures() == "first token 250 ms, 3 tokens, 1.0 tokens/s"
    answer.tokens = 9
    assert answer.figures() == "first token 250 ms, 9 tokens, 4.0 tokens/s"
