"""A bundle as its user meets it: any user starts it, it says which settings it runs, and it stays within its folder."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from relay.config.schema import Settings
from relay.edge.bundle import render, write_bundle
from relay.edge.policy import settings_digest
from tests.edge.raw import ask
from tests.edge.running import Edge, await_listening, facts_of, free_port, running
from tests.edge.truth import request


def _private(edge: Edge, path: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(edge.folder / "run" / "status.sock"))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_nginx_starts_without_a_warning_and_logs_none(edge: Edge, nginx: Path) -> None:
    checked = subprocess.run([nginx, "-t", "-p", edge.folder, "-c", "nginx.conf"], capture_output=True, text=True, check=True)
    assert "warn" not in checked.stderr
    assert "[alert]" not in edge.error_log()
    assert "[emerg]" not in edge.error_log()


def test_everything_stays_in_the_folder_and_is_closed_to_others(edge: Edge) -> None:
    modes = {path.relative_to(edge.folder).as_posix(): oct(path.stat().st_mode & 0o777) for path in edge.folder.glob("*") if path.is_dir()}
    assert modes == {"run": "0o750", "logs": "0o750", "tmp": "0o700"}
    assert int((edge.folder / "run" / "nginx.pid").read_text()) == edge.process.pid


def test_the_private_socket_tells_the_running_generation_and_the_public_side_does_not(edge: Edge) -> None:
    body = _private(edge, "/generation").partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"settings": settings_digest(edge.settings)}
    head = (edge.folder / "nginx.conf").read_text(encoding="utf-8")[:400]
    assert settings_digest(edge.settings) in head
    assert ask(edge.port, request("/generation", method="GET").replace(b"HOST", f"llm.example.com:{edge.port}".encode())).status == 403


def test_counters_are_on_the_private_socket_where_nginx_has_them(edge: Edge, nginx: Path) -> None:
    assert (b"Active connections" in _private(edge, "/status")) == facts_of(nginx).stub_status


def test_a_socket_left_by_a_killed_nginx_does_not_stop_the_next_one(nginx: Path) -> None:
    with running(nginx) as edge:
        master = edge.process.pid
        workers = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split()
        for pid in (master, *map(int, workers)):
            os.kill(pid, signal.SIGKILL)
        edge.process.wait()
        left = edge.folder / "run" / "status.sock"
        assert left.is_socket()
        end = time.monotonic() + 5  # a killed worker takes a moment to let go of it
        while left.exists() and time.monotonic() < end:
            write_bundle({}, edge.folder)
        assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run as a plain user")
def test_a_plain_user_can_run_it(nginx: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="edge-"))
    port = free_port()
    settings = Settings.model_validate({"edge": {"listen": f"127.0.0.1:{port}"}})
    try:
        write_bundle(render(settings, facts_of(nginx), home=folder, bundle=folder, foreground=True), folder)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        command = [str(nginx), "-p", str(folder), "-c", "nginx.conf"]
        process = subprocess.Popen(command, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], stderr=subprocess.PIPE)
        try:
            await_listening(process, port)
            assert ask(port, request("/v1/files", host="localhost")).error["code"] == "unknown_path"
        finally:
            process.terminate()
            complaints = process.communicate(timeout=10)[1]
    except PermissionError:
        pytest.skip(f"a plain user can't reach {nginx} here")
    finally:
        shutil.rmtree(folder)
    assert complaints == b""
