"""`relay chat`: a conversation through the edge, with time to first token and tokens per second.

Where to and with which key: RELAY_URL (or --url) and RELAY_KEY, else what a running `make run` left in `.run`. A key is never an argument,
since arguments can be seen by everybody on the machine; and the key in `.run` is sent to that run alone.
"""

import http.client
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

RUN_FOLDER: Final = Path(".run")
RUNNING: Final = "running.json"
KEY_FILE: Final = "key"
KEY_VARIABLE: Final = "RELAY_KEY"
INTERRUPTED: Final = 130
"""Exit code of a program that Ctrl-C ended."""

_SILENCE_S: Final = 600.0
_LONGEST_MESSAGE: Final = 500
_OK: Final = 200

Message = dict[str, str]


class ChatFailed(Exception):
    """What went wrong, in a sentence that says what to do where that is known."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to talk to."""

    url: str
    key: str
    model: str


@dataclass(slots=True)
class Answer:
    """What is known of an answer while it comes."""

    text: str = ""
    pieces: int = 0
    tokens: int | None = None  # as counted by the upstream
    finished: bool = False
    asked_at: float = field(default_factory=time.monotonic)
    first_at: float | None = None
    last_at: float = 0.0

    def add(self, piece: str, now: float) -> None:
        self.text += piece
        self.pieces += 1
        self.first_at = now if self.first_at is None else self.first_at
        self.last_at = now

    def figures(self) -> str:
        """Time to first token, then the pace of the others."""
        if self.first_at is None:
            return "no token came"
        tokens = self.tokens or self.pieces
        words = [f"first token {(self.first_at - self.asked_at) * 1000:.0f} ms", f"{tokens} tokens"]
        if tokens > 1 and self.last_at > self.first_at:
            words.append(f"{(tokens - 1) / (self.last_at - self.first_at):.1f} tokens/s")
        return ", ".join(words)


def talk(prompt: str | None, *, model: str | None, url: str | None, environ: Mapping[str, str]) -> int:
    """Answer one prompt, or hold a conversation line by line if there is none. Returns the exit code."""
    try:
        target = find_target(url, model, environ.get(KEY_VARIABLE), Path.cwd())
        if prompt is not None:
            return _once(target, prompt)
        return _conversation(target)
    except ChatFailed as failed:
        sys.stderr.write(f"relay chat: {failed}\n")
        return 1


def find_target(url: str | None, model: str | None, key: str | None, place: Path) -> Target:
    """Put together what is given and what a running `make run` left behind. Raises ChatFailed."""
    running = find_running(place)
    if not url and running is None:
        msg = f"no endpoint: `make run` is not running here; start it, or set RELAY_URL and {KEY_VARIABLE}"
        raise ChatFailed(msg)
    is_running = running is not None and (not url or url.rstrip("/") == running.url)
    if running is not None and is_running:
        return Target(running.url, key or running.key, model or running.model)
    if not key:
        msg = f"no key for {url}: set {KEY_VARIABLE}"
        raise ChatFailed(msg)
    if not model:
        msg = f"no model for {url}: name one with -m"
        raise ChatFailed(msg)
    return Target((url or "").rstrip("/"), key, model)


def find_running(place: Path) -> Target | None:
    """Read what the latest run below `place` has announced."""
    folder = place / RUN_FOLDER
    notes = sorted([*folder.glob(RUNNING), *folder.glob(f"*/{RUNNING}")], key=lambda note: note.stat().st_mtime)
    try:
        said = json.loads(notes[-1].read_text(encoding="utf-8"))
        return Target(said["url"], notes[-1].with_name(KEY_FILE).read_text(encoding="ascii").strip(), said["model"])
    except (IndexError, OSError, ValueError, KeyError, TypeError):
        return None


def _once(target: Target, prompt: str) -> int:
    answer = Answer()
    try:
        _show(target, [{"role": "user", "content": prompt}], answer)
    except KeyboardInterrupt:
        _end(answer)
        return INTERRUPTED
    _end(answer)
    return 0


def _conversation(target: Target) -> int:
    """One turn per line, until the input ends. Ctrl-C stops an answer; where none is coming, the conversation."""
    messages: list[Message] = []
    if sys.stdin.isatty():
        __import__("readline")  # gives input() its line editing
        sys.stderr.write(f"{target.model} at {target.url}; Ctrl-C stops an answer, Ctrl-D ends\n")
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            sys.stderr.write("\n" if sys.stdin.isatty() else "")
            return 0
        if not line.strip():
            continue
        messages.append({"role": "user", "content": line})
        answer = Answer()
        try:
            _show(target, messages, answer)
        except KeyboardInterrupt:
            pass
        except ChatFailed as failed:
            if not sys.stdin.isatty():
                raise
            messages.pop()
            sys.stderr.write(f"\n{failed}\n")
            continue
        _end(answer)
        messages.append({"role": "assistant", "content": answer.text})


def _show(target: Target, messages: list[Message], answer: Answer) -> None:
    """Print the answer piece by piece as it comes."""
    out = sys.stdout
    for piece in stream(target, messages, answer):
        out.write(printable(piece) if out.isatty() else piece)
        out.flush()
    if not answer.finished:
        out.write("\n")
        msg = "the answer was cut: it ended without saying so"
        raise ChatFailed(msg)


def _end(answer: Answer, out: TextIO | None = None) -> None:
    (out or sys.stdout).write("\n")
    (out or sys.stdout).flush()
    sys.stderr.write(f"{answer.figures()}\n")


def printable(text: str) -> str:
    """Leave out what would steer a terminal: what a model writes is not to be trusted."""
    return "".join(character for character in text if character in "\n\t" or character.isprintable())


# --- the wire


def stream(target: Target, messages: list[Message], answer: Answer) -> Iterator[str]:
    """Ask, and yield the pieces of the answer as they come. Raises ChatFailed. Closing it closes the connection, which ends the answer."""
    connection = _connect(target.url)
    body = {"model": target.model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
    headers = {"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"}
    try:
        answer.asked_at = time.monotonic()
        connection.request("POST", f"{urlsplit(target.url).path}/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != _OK:
            raise ChatFailed(_refusal(response))
        for event in events(response):
            yield from _take(event, answer)
    except (OSError, http.client.HTTPException) as fault:
        raise ChatFailed(_broken(target.url, fault)) from fault
    finally:
        connection.close()


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{url!r} is no endpoint; write for example http://127.0.0.1:8080/v1"
        raise ChatFailed(msg)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, parts.port, timeout=_SILENCE_S)


def events(lines: "http.client.HTTPResponse | Iterator[bytes]") -> Iterator[dict[str, Any] | None]:
    """Yield the JSON objects of an event stream, None for its end marker. Comments and other fields are passed over."""
    for line in lines:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            yield None
            return
        try:
            event = json.loads(data)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _take(event: dict[str, Any] | None, answer: Answer) -> Iterator[str]:
    """Note what an event says, and yield its text. Raises ChatFailed if it is an error."""
    if event is None:
        answer.finished = True
        return
    if event.get("error"):
        raise ChatFailed(_error_text(event) or "the upstream failed")
    usage = event.get("usage")
    if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
        answer.tokens = usage["completion_tokens"]
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        answer.finished = answer.finished or bool(choice.get("finish_reason"))
        piece = delta.get("content") or delta.get("reasoning_content")
        if isinstance(piece, str):
            answer.add(piece, time.monotonic())
            yield piece


def _refusal(response: http.client.HTTPResponse) -> str:
    """Say what a refusal says: an error object's text, or the status alone."""
    body = response.read()
    try:
        text = _error_text(json.loads(body))
    except ValueError:
        text = ""
    return f"{response.status} {text or body[:_LONGEST_MESSAGE].decode('utf-8', 'replace') or response.reason}"


def _error_text(parsed: object) -> str:
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if not isinstance(error, dict):
        return ""
    code = error.get("code") or error.get("type")
    return f"{code}: {error.get('message')}" if code else str(error.get("message"))


def _broken(url: str, fault: Exception) -> str:
    if isinstance(fault, ConnectionRefusedError):
        return f"nothing answers at {url}; start it with `make run`, or name another endpoint with --url"
    return f"the connection to {url} failed: {str(fault) or type(fault).__name__}"
