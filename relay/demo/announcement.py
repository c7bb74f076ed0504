"""What a run prints. Each line is for a person and for a script: a word, two blanks, a value."""

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from relay.demo.ports import LOOPBACK

QUESTION = "Why is the sky blue?"


class Speaker:
    """Prints one line at a time, at once. If whoever read along has left, it falls silent and the run goes on."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, line: str) -> None:
        try:
            print(line, file=self._out, flush=True)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)


def lines(edge_port: int, admin_port: int, key: str, models: Sequence[str]) -> Iterator[str]:
    """Announce what is ready: the lines that others read, then what to try."""
    url = f"http://{LOOPBACK}:{edge_port}/v1"
    yield f"endpoint  {url}"
    yield f"key  {key}"
    yield from (f"model  {name}" for name in models)
    yield f"admin  http://{LOOPBACK}:{admin_port}"
    body = json.dumps({"model": models[0], "stream": True, "messages": [{"role": "user", "content": QUESTION}]})
    headers = (f"Authorization: Bearer {key}", "Content-Type: application/json")
    words = ["curl", "-N", f"{url}/chat/completions", *(word for header in headers for word in ("-H", header)), "-d", body]
    yield f"try  {shlex.join(words)}"
    yield f"chat  {shlex.join([_program(), 'chat', QUESTION])}"
    yield "ready"


def _program() -> str:
    """Name the command as it can be typed here."""
    program = Path(sys.argv[0])
    if program.name != "relay" or not program.is_file():
        return "relay"
    resolved, here = program.absolute(), Path.cwd()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else str(resolved)
