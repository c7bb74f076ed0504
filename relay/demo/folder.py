"""The folder of a run, `.run` below the current one: everything that `relay run` writes is in it. It is its user's alone, and not git's.

Two runs from one folder get a folder each (`.run`, `.run/2`, …), held by a file lock as long as the run lasts.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import IO, Final

from relay.demo.choice import KEY_VARIABLE, Choice
from relay.demo.fault import CannotRun
from relay.domain.access import digest_of, hash_text, key_from

NAME: Final = ".run"
_MOST: Final = 16
_KEY: Final = re.compile(r"sk-[0-9a-f]{64}")
_PLAIN: Final = re.compile(r"[\w./+@,:-]+")
_SOCKET: Final = "relay.sock"
_LONGEST_SOCKET_PATH: Final = 107
"""Bytes of a unix socket's path that the kernel keeps."""


class RunFolder:
    """One run's folder: made, locked, and cleared of what is only true while the run lasts."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path = path
        self.edge = path / "edge"
        self.config = path / "relay.toml"
        self.running = path / "running.json"
        self._lock = lock
        self._elsewhere: Path | None = None

    @classmethod
    def below(cls, place: Path) -> "RunFolder":
        """Take the first one that no other run holds. Raises CannotRun."""
        root = place.resolve() / NAME
        for number in range(1, _MOST + 1):
            path = root if number == 1 else root / str(number)
            try:
                path.mkdir(mode=0o700, exist_ok=True)
                path.chmod(0o700)
                (path / ".gitignore").write_text("*\n", encoding="ascii")
                lock = (path / "lock").open("w", encoding="ascii")
            except OSError as fault:
                raise CannotRun(
                    what=str(path), why=f"can't be written ({fault.strerror})", remedy="Start from a folder of your own."
                ) from fault
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            return cls(path, lock)
        raise CannotRun(what=str(root), why=f"{_MOST} runs are using it", remedy="End some of them.")

    def close(self) -> None:
        """Take away what must not outlive the run. The key stays: pasted into a client, it works again at the next start."""
        self.running.unlink(missing_ok=True)
        if self._elsewhere:
            shutil.rmtree(self._elsewhere, ignore_errors=True)
        self._lock.close()

    def log(self, name: str) -> Path:
        folder = self.path / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    def key(self) -> str:
        """Give this folder's key; the first time make one of 256 random bits."""
        file = self.path / "key"
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = file.read_text(encoding="ascii").strip()
            if _KEY.fullmatch(text):
                return text
        key = key_from(secrets.token_bytes(32))
        self.write(file, f"{key}\n")
        return key

    def listen(self) -> str:
        """Say where the relay listens: in this folder, or in a temporary one if its path is too long for a socket or has odd characters."""
        own = self.path / _SOCKET
        if len(os.fsencode(own)) <= _LONGEST_SOCKET_PATH and _PLAIN.fullmatch(str(own)):
            _clear_stale(own)
            return f"unix:{_SOCKET}"
        self._elsewhere = self._elsewhere or Path(tempfile.mkdtemp(prefix="postgate-"))
        return f"unix:{self._elsewhere / _SOCKET}"

    def announce(self, url: str, model: str) -> None:
        """Leave a note for `relay chat`."""
        self.write(self.running, json.dumps({"url": url, "model": model, "pid": os.getpid()}) + "\n")

    def write(self, file: Path, text: str) -> None:
        """Write a file that only its owner can read, at once."""
        fresh = file.with_name(f"{file.name}.new")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:  # noqa: PTH123 - from a descriptor
            out.write(text)
        fresh.replace(file)


def settings_text(choice: Choice, *, url: str, edge_port: int, admin_port: int, listen: str, key: str) -> str:
    """Write the relay.toml of a run. Of the user's own key only the name of the variable that holds it goes into it."""
    keys = [f"env:{KEY_VARIABLE}"] if choice.has_key else []
    return f"""\
# Made by `relay run`, anew at each start. A relay.toml of your own can begin as a copy of it.

[server]
listen = {_toml(listen)}
admin = "127.0.0.1:{admin_port}"
drain = "2s"

[edge]
domain = "localhost"
listen = "127.0.0.1:{edge_port}"
tls = {{ mode = "off" }}
rate_limit = {{ per_ip = "1000/s", burst = 1000, connections = 1000 }} # all callers share one address here

[[channel]]
name = {_toml(choice.kind)}
type = "openai"
base_url = {_toml(url)}
keys = {_toml(keys)}
models = {_toml(list(choice.models))}

[[key]]
name = "run"
hash = {_toml(hash_text(digest_of(key)))}
"""


def _toml(value: str | list[str]) -> str:
    """Write a text or a list of texts. JSON's escapes are TOML's too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _clear_stale(path: Path) -> None:
    """Remove a socket that a killed relay left behind."""
    with contextlib.suppress(OSError):
        if path.is_socket():
            with socket.socket(socket.AF_UNIX) as asker:
                try:
                    asker.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink()
