"""What the edge must do, in the words of the field: Settings, ladder and route table become one frozen EdgePolicy.

Rules of this file: no nginx words (that is nginx.py and its neighbours), nothing of the machine (that is facts.py), and no
second opinion: a number that another hop has too comes from the ladder.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from relay import __version__
from relay.config.ladder import (
    CLIENT_BODY_S,
    CLIENT_HEADER_S,
    CLIENT_KEEPALIVE_S,
    CLIENT_SEND_S,
    EDGE_HEADER_LIMIT,
    EDGE_HEADERS,
    EDGE_TO_RELAY_KEEPALIVE_S,
    ladder,
)
from relay.config.schema import Edge, Settings
from relay.config.units import Rate
from relay.domain.endpoints import ENDPOINTS, MODELS_PATH

_PATH = re.compile(r"/v1(?:/[a-z0-9_-]+)+")
_EVERYWHERE = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - the words of the settings for every address
HTTPS_PORT = 443
HTTP_PORT = 80
SMALL_BODY = 1 << 10
"""Largest body of a request that needs none: room for a client's empty object, not for an upload."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens. No host: on every address of the machine."""

    host: str | None
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host is None:
            return False
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Admitted:
    """One request that may pass: a method and an exact path, with the largest body it may bring."""

    method: str
    path: str
    body_limit: int


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the edge waits for each side, in seconds."""

    client_header_s: float
    client_body_s: float  # between two pieces of a body
    client_send_s: float  # between two pieces that the client takes
    client_idle_s: float
    relay_connect_s: float
    relay_send_s: float
    relay_read_s: float  # longest silence of the relay
    relay_idle_s: float  # shorter than the relay's own, so that it never closes a connection the edge is about to use
    shutdown_s: float  # a replaced worker may finish its streams


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of the public name."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class EdgePolicy:
    """All that the edge decides. Two policies that are equal give the same edge on the same machine."""

    digest: str
    domain: str
    names: tuple[str, ...]  # host names that are ours
    authorities: tuple[str, ...]  # exact values of the Host header that are ours
    listen: Address
    cleartext: Address | None  # where plain HTTP is answered only to say that it is refused
    certificate: Certificate | None
    protocols: tuple[str, ...]
    admitted: tuple[Admitted, ...]
    origins: tuple[str, ...]  # web origins that may call from a browser
    upgrade_426: bool
    relay: str  # "unix:/absolute/path" or "HOST:PORT"
    admin: str  # never to be reached through the edge
    header_line_limit: int
    header_count: int
    waits: Waits
    rate: Rate
    burst: int
    connections: int
    trusted: tuple[str, ...]  # networks of an outer proxy whose word about the client's address is believed
    workers: int

    @property
    def paths(self) -> tuple[str, ...]:
        """Each published path once, in the order of the route table."""
        return tuple(dict.fromkeys(row.path for row in self.admitted))


def settings_digest(settings: Settings) -> str:
    """Name the settings that shape the edge, so that a file rendered from older ones can be told from a fresh one.

    Channels and callers' keys are left out: they shape nothing here, and changing one must not call the edge stale.
    """
    at = ladder(settings)
    shape = {
        "generator": __version__,
        "edge": settings.edge.model_dump(mode="json"),
        "relay": settings.server.listen,
        "admin": settings.server.admin,
        "limits": [at.body_limit, at.edge_read_s, at.edge_shutdown_s],
        "endpoints": [endpoint.path for endpoint in ENDPOINTS],
    }
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def edge_policy(settings: Settings, home: Path) -> EdgePolicy:
    """Decide what the edge does. `home` is the folder of relay.toml, from which its relative paths are taken."""
    edge, at = settings.edge, ladder(settings)
    certificate = _certificate(edge, home)
    listen = _address(edge.listen) if edge.listen else Address(None, HTTPS_PORT if certificate else HTTP_PORT)
    names = _names(edge, listen)
    return EdgePolicy(
        digest=settings_digest(settings),
        domain=edge.domain,
        names=names,
        authorities=_authorities(edge.domain, names, listen.port),
        listen=listen,
        cleartext=Address(listen.host, HTTP_PORT) if certificate and listen.port == HTTPS_PORT else None,
        certificate=certificate,
        protocols=("HTTP/1.1", *(["HTTP/2.0"] if certificate else []), *(["HTTP/1.0"] if edge.http10 else [])),
        admitted=_admitted(edge),
        origins=tuple(dict.fromkeys(origin.lower() for origin in edge.cors_origins)),  # as a browser spells its own
        upgrade_426=edge.upgrade_426,
        relay=_reachable(settings.server.listen, home),
        admin=_reachable(settings.server.admin, home),
        header_line_limit=EDGE_HEADER_LIMIT,
        header_count=EDGE_HEADERS,
        waits=Waits(
            client_header_s=CLIENT_HEADER_S,
            client_body_s=CLIENT_BODY_S,
            client_send_s=CLIENT_SEND_S,
            client_idle_s=CLIENT_KEEPALIVE_S,
            relay_connect_s=3.0,
            relay_send_s=CLIENT_SEND_S,
            relay_read_s=at.edge_read_s,
            relay_idle_s=EDGE_TO_RELAY_KEEPALIVE_S,
            shutdown_s=at.edge_shutdown_s,
        ),
        rate=edge.rate_limit.per_ip,
        burst=edge.rate_limit.burst,
        connections=edge.rate_limit.connections,
        trusted=tuple(str(network) for network in edge.real_ip_from),
        workers=edge.workers,
    )


def _certificate(edge: Edge, home: Path) -> Certificate | None:
    if edge.tls.certificate is None or edge.tls.key is None:
        return None
    return Certificate(str(home / edge.tls.certificate), str(home / edge.tls.key))


def _admitted(edge: Edge) -> tuple[Admitted, ...]:
    rows = [Admitted("POST", endpoint.path, edge.body_limit) for endpoint in ENDPOINTS]
    if edge.allow_get_models:
        rows.append(Admitted("GET", MODELS_PATH, SMALL_BODY))
    for row in rows:
        if not _PATH.fullmatch(row.path):
            msg = f"the route table has a path that can't be admitted literally: {row.path!r}"
            raise ValueError(msg)
    return tuple(rows)


def _names(edge: Edge, listen: Address) -> tuple[str, ...]:
    """List the host names that are ours.

    On a loopback address the machine's own names count too: whoever can connect there already is on the machine. For an outer
    proxy the address counts to which it was told to connect: a stock nginx sends that as the Host.
    """
    names = [edge.domain]
    if listen.is_loopback:
        names += ["localhost", "127.0.0.1" if listen.host == "localhost" else str(listen.host)]
    elif listen.host and edge.real_ip_from:
        names.append(listen.host)
    return tuple(dict.fromkeys(names))


def _authorities(domain: str, names: tuple[str, ...], port: int) -> tuple[str, ...]:
    """The public name counts with and without the port (an outer proxy sends it bare), a loopback name only with it."""
    is_default = port in {HTTP_PORT, HTTPS_PORT}
    return (domain, *(f"{name}:{port}" for name in names), *(name for name in names if is_default and name != domain))


def _address(listen: str) -> Address:
    host, _, port = listen.rpartition(":")
    return Address(None if host in _EVERYWHERE else host, int(port))


def _reachable(listen: str, home: Path) -> str:
    """Turn an address to listen on into one to connect to."""
    if listen.startswith("unix:"):
        return f"unix:{home / listen.removeprefix('unix:')}"
    host, _, port = listen.rpartition(":")
    return f"{_EVERYWHERE.get(host, host)}:{port}"
