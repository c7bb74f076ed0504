"""TLS on a running nginx: our name alone gets a certificate, HTTP/2 is judged by the same table, port 80 only refuses."""

import re
import socket
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.edge.certificates import issue
from tests.edge.http2 import h2_ask
from tests.edge.raw import Reply, ask, read_reply
from tests.edge.running import DOMAIN, Edge, facts_of, free_port, running
from tests.edge.truth import CHAT, request

HSTS = ["max-age=63072000"]


@dataclass(frozen=True)
class Secure:
    """An edge with TLS, the port of its plain sibling, and what a client trusts."""

    edge: Edge
    cleartext: int
    trust: ssl.SSLContext

    def connect(self, name: str | None = DOMAIN, *, alpn: str = "http/1.1", newest: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
        context = self.trust
        context.check_hostname = name is not None
        context.set_alpn_protocols([alpn])
        context.maximum_version = newest or ssl.TLSVersion.MAXIMUM_SUPPORTED
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.edge.port), timeout=5), server_hostname=name)

    def ask(self, data: bytes) -> Reply:
        self.edge.recorder.seen.clear()
        with self.connect() as client:
            client.sendall(data.replace(b"HOST", DOMAIN.encode()))
            return read_reply(client)


@pytest.fixture(scope="module")
def secure(nginx: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """An edge on the default address, moved to free ports of the loopback."""
    tls, trust = issue(tmp_path_factory.mktemp("certificate"))
    ports = {"443": free_port(), "80": free_port()}

    def move(text: str) -> str:
        text = re.sub(r" *listen \[::\]:\d+.*\n", "", text)
        return re.sub(r"listen (443|80)\b", lambda found: f"listen 127.0.0.1:{ports[found[1]]}", text)

    with running(nginx, {"listen": None, "tls": tls}, change=move, port=ports["443"]) as edge:
        yield Secure(edge, ports["80"], trust)


def test_our_name_is_served_and_every_answer_pins_https(secure: Secure) -> None:
    passed, refused = secure.ask(request()), secure.ask(request("/v1/files"))
    assert (passed.status, refused.status, refused.error["code"]) == (200, 403, "unknown_path")
    assert passed.header("Strict-Transport-Security") == refused.header("Strict-Transport-Security") == HSTS


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1", None])
def test_another_name_gets_no_certificate(secure: Secure, name: str | None) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        secure.connect(name)


def test_a_host_header_that_is_not_the_name_of_the_handshake_is_closed(secure: Secure) -> None:
    assert secure.ask(request(host="evil.example")).status == 0


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_12_and_13_are_spoken_without_tickets(secure: Secure, newest: ssl.TLSVersion) -> None:
    with secure.connect(newest=newest) as client:
        client.sendall(request().replace(b"HOST", DOMAIN.encode()))
        assert read_reply(client).status == 200
        assert client.session is None or not client.session.has_ticket or newest is ssl.TLSVersion.TLSv1_3
        cipher = client.cipher()
        assert cipher is not None
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


def test_older_tls_is_refused(secure: Secure) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python calls them old, and that they are
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    plain = socket.create_connection(("127.0.0.1", secure.edge.port), timeout=5)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_hostname=DOMAIN)


def test_plain_http_on_the_tls_port_is_told_so(secure: Secure) -> None:
    reply = ask(secure.edge.port, request().replace(b"HOST", DOMAIN.encode()))
    assert (reply.status, reply.error["code"]) == (400, "https_required")


def test_port_80_refuses_in_json_and_redirects_nobody(secure: Secure) -> None:
    for data in (request(), request("/", method="GET", body=b"", length=False)):
        reply = ask(secure.cleartext, data.replace(b"HOST", DOMAIN.encode()))
        assert (reply.status, reply.error["code"], reply.header("X-Should-Retry")) == (403, "https_required", ["false"])
        assert (reply.header("Location"), reply.header("Strict-Transport-Security")) == ([], [])
    assert ask(secure.cleartext, request(host="evil.example")).status == 0


def _h2(secure: Secure, path: str = CHAT, *more: tuple[str, str], method: str = "POST", host: str = DOMAIN) -> tuple[int, bytes]:
    secure.edge.recorder.seen.clear()
    with secure.connect(alpn="h2") as client:
        assert client.selected_alpn_protocol() == "h2"
        return h2_ask(client, [(":method", method), (":scheme", "https"), (":path", path), (":authority", host), *more])


def test_http2_passes_what_the_table_passes(secure: Secure, nginx: Path) -> None:
    assert facts_of(nginx).http2 != "none"
    status, body = _h2(secure)
    assert (status, body) == (200, b'{"ok":true}')
    assert secure.edge.recorder.seen[0].line == f"POST {CHAT} HTTP/1.1"


@pytest.mark.parametrize(
    ("path", "more", "method"),
    [
        ("/v1/files", (), "POST"),
        ("/V1/chat/completions", (), "POST"),
        (f"{CHAT}?a=b", (), "POST"),
        (f"/{CHAT}", (), "POST"),
        ("/v1/../metrics", (), "POST"),
        ("/v1", (), "POST"),
        (CHAT, (), "GET"),
        (CHAT, (), "HEAD"),
        (CHAT, (), "OPTIONS"),
        (CHAT, (("transfer-encoding", "chunked"),), "POST"),
        (CHAT, (("upgrade", "websocket"),), "POST"),
        (CHAT, (("host", "evil.example"),), "POST"),
        ("http://evil.example/v1/chat/completions", (), "POST"),
    ],
)
def test_http2_refuses_what_the_table_refuses(secure: Secure, path: str, more: tuple[tuple[str, str], ...], method: str) -> None:
    status, _ = _h2(secure, path, *more, method=method)
    assert status in {0, 400, 403}
    assert secure.edge.recorder.seen == []


def test_http2_for_another_host_is_misdirected(secure: Secure) -> None:
    status, body = _h2(secure, host="evil.example")
    assert (status, b"misdirected_request" in body, secure.edge.recorder.seen) == (421, True, [])
