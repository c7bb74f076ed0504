"""What is measured: how each target is configured, started on a free port, found ready, and ended by its process id."""

import grp
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import wire

ROOT = Path(__file__).parents[2]
RELAY = (sys.executable, "-m", "relay.cli")
_READY_S = 20.0
_END_S = 5.0
_given: set[int] = set()

_NGINX = """\
{user}daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn; worker_processes 1; worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
    access_log off; tcp_nodelay on; keepalive_requests 1000000; client_body_buffer_size 256k;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream emulator {{ server 127.0.0.1:{upstream}; keepalive 4096; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = {path} {{
            proxy_pass {scheme}://emulator; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
            proxy_buffering off; {tls}
        }}
    }}
}}
"""
_NGINX_TLS = """\
proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_trusted_certificate {ca};
            proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on;
"""

_RELAY = """\
[server]
listen = "{listen}"
admin = "127.0.0.1:{admin}"
drain = "0s"

[edge]
listen = "127.0.0.1:{edge}"
rate_limit = {{ per_ip = "100000/s", burst = 10000, connections = 10000 }}

[[channel]]
name = "emulator"
base_url = "{scheme}://127.0.0.1:{upstream}/v1"
keys = ["file:{folder}/secret"]
models = {{ "{model}" = "{upstream_model}" }}
{ca}

[[key]]
name = "bench"
hash = "{hash}"
"""


class NotReady(Exception):
    """A target did not start. The message is the end of its log."""


@dataclass(frozen=True, slots=True)
class Rig:
    """What the targets share: the emulator's ports, a folder, an nginx."""

    folder: Path
    plain: int
    tls: int
    ca: Path
    nginx: Path


@dataclass(slots=True)
class Target:
    """A running target."""

    name: str
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        """The processes that were started; what they started is below them."""
        return [process.pid for process in self.processes]

    def end(self) -> None:
        """End the processes, the last started first."""
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def start(name: str, rig: Rig) -> Target:
    """Start a target and wait until it answers. Raises NotReady."""
    folder = rig.folder / name
    folder.mkdir(exist_ok=True)
    target = Target(name, rig.plain if name == "direct" else free_port())
    with (folder / "log").open("ab") as log:
        for command in TARGETS[name](rig, folder, target.port):
            # A session of its own: Ctrl-C is for the bench, which ends everything in order.
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            target.processes.append(process)
    try:
        _wait_for(target, folder)
    except BaseException:
        target.end()
        raise
    return target


def free_port() -> int:
    """Find a port that nobody listens on now and that was not given out before: the kernel may offer the same one twice."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = int(listener.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def _wait_for(target: Target, folder: Path) -> None:
    give_up = time.monotonic() + _READY_S
    while time.monotonic() < give_up:
        if any(process.poll() is not None for process in target.processes):
            break
        if _answers(target.port):
            return
        time.sleep(0.05)
    logs = (path.read_text(encoding="utf-8", errors="replace")[-1000:] for path in sorted(folder.glob("**/*log")) if path.is_file())
    msg = f"{target.name} does not answer.\n{''.join(logs)}"
    raise NotReady(msg)


def _answers(port: int) -> bool:
    reader = wire.AnswerReader(0)
    with suppress(OSError, wire.Broken, ValueError), socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
        sock.sendall(wire.request(wire.Wish(0, 0, 0), f"127.0.0.1:{port}"))
        while not reader.over and (data := sock.recv(1 << 16)):
            reader.feed(data)
    return reader.over


def _direct(_rig: Rig, _folder: Path, _port: int) -> Sequence[list[str]]:
    return ()


def _nginx(rig: Rig, folder: Path, port: int, *, tls: bool = False) -> Sequence[list[str]]:
    files = 18_000
    user = f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name}; " if os.geteuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(
        _NGINX.format(
            user=user,
            folder=folder,
            files=files,
            connections=files - 100,
            upstream=rig.tls if tls else rig.plain,
            port=port,
            path=wire.PATH,
            scheme="https" if tls else "http",
            tls=_NGINX_TLS.format(ca=rig.ca) if tls else "",
        ),
        encoding="utf-8",
    )
    return ([str(rig.nginx), "-p", str(folder), "-c", str(conf)],)


def _naive(rig: Rig, _folder: Path, port: int, *words: str) -> Sequence[list[str]]:
    return ([sys.executable, "-m", "tests.bench.naive", str(port), f"http://127.0.0.1:{rig.plain}", *words],)


def _naive_uvloop(rig: Rig, folder: Path, port: int) -> Sequence[list[str]]:
    return _naive(rig, folder, port, "uvloop")


def _relay(rig: Rig, folder: Path, port: int, *, listen: str = "", tls: bool = False) -> Sequence[list[str]]:
    (folder / "secret").touch(mode=0o600)
    (folder / "secret").write_text("upstream-secret\n", encoding="utf-8")
    config = folder / "relay.toml"
    config.write_text(
        _RELAY.format(
            listen=listen or f"127.0.0.1:{port}",
            admin=free_port(),
            edge=port if listen else free_port(),
            scheme="https" if tls else "http",
            upstream=rig.tls if tls else rig.plain,
            folder=folder,
            model=wire.MODEL,
            upstream_model=wire.UPSTREAM_MODEL,
            ca=f'ca_file = "{rig.ca}"' if tls else "",
            hash=wire.KEY_HASH,
        ),
        encoding="utf-8",
    )
    return ([*RELAY, "serve", "-c", str(config)],)


def _edge_and_relay(rig: Rig, folder: Path, port: int) -> Sequence[list[str]]:
    relay = _relay(rig, folder, port, listen=f"unix:{folder}/relay.sock")
    bundle = folder / "edge"
    render = [*RELAY, "edge", "render", "-c", str(folder / "relay.toml"), "-o", str(bundle), "--nginx", str(rig.nginx)]
    done = subprocess.run(render, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"the edge can't be rendered.\n{done.stderr}"
        raise NotReady(msg)
    return (*relay, [str(rig.nginx), "-p", str(bundle), "-c", "nginx.conf", "-g", "daemon off;"])


TARGETS: dict[str, Callable[[Rig, Path, int], Sequence[list[str]]]] = {
    "direct": _direct,
    "nginx": _nginx,
    "naive": _naive,
    "naive-uvloop": _naive_uvloop,
    "relay": _relay,
    "edge+relay": _edge_and_relay,
    "nginx-tls": lambda rig, folder, port: _nginx(rig, folder, port, tls=True),
    "relay-tls": lambda rig, folder, port: _relay(rig, folder, port, tls=True),
}
"""Name -> the commands that start it, each process in the foreground. What a command needs is written into the folder first."""
