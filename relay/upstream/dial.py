"""New connections to upstreams: name resolution, TCP, TLS. Plain non-blocking sockets and ssl.SSLSocket, no transports.

Addresses are tried in the resolver's order within one connect timeout. Redirects, proxies of the environment and cookies do not exist here.
"""

import asyncio
import socket
import ssl
from typing import Final

from relay.domain.channel import Origin
from relay.domain.errors import UpstreamConnectTimeout, UpstreamUnreachable
from relay.upstream.poller import READ, WRITE, Poller

_USER_TIMEOUT_MS: Final = 30_000  # unacknowledged bytes: the peer's machine is gone


class Dialer:
    """Opens connections. Keeps one TLS context per set of authorities and the last TLS session per origin."""

    def __init__(self, loop: asyncio.AbstractEventLoop, poller: Poller, timeout_s: float) -> None:
        self._loop = loop
        self._poller = poller
        self._timeout_s = timeout_s
        self._contexts: dict[str | None, ssl.SSLContext] = {}
        self._sessions: dict[Origin, ssl.SSLSession] = {}

    async def dial(self, origin: Origin) -> socket.socket:
        """Connect. Raises UpstreamUnreachable or UpstreamConnectTimeout; messages name neither host nor reason of the TLS library."""
        try:
            async with asyncio.timeout(self._timeout_s):
                plain = await self._connect(origin)
                if not origin.tls:
                    return plain
                return await self._handshake(plain, origin)
        except TimeoutError:
            msg = "The upstream could not be reached in time."
            raise UpstreamConnectTimeout(msg) from None
        except ssl.SSLError as error:
            msg = "The TLS handshake with the upstream failed."
            raise UpstreamUnreachable(msg) from error
        except (OSError, UnicodeError) as error:  # the latter: a name that can't be one
            msg = "The upstream could not be reached."
            raise UpstreamUnreachable(msg) from error

    async def _connect(self, origin: Origin) -> socket.socket:
        found = await self._loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
                await self._loop.sock_connect(sock, address)
            except OSError as error:
                failure = error
                sock.close()
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure

    async def _handshake(self, plain: socket.socket, origin: Origin) -> ssl.SSLSocket:
        try:
            tls = self._context(origin.ca_file).wrap_socket(
                plain,
                server_hostname=origin.host,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # anybody on the way can end a connection; only the upstream can end TLS
                session=self._sessions.get(origin),
            )
        except BaseException:
            plain.close()
            raise
        try:
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    await self._poller.wait(tls.fileno(), READ)
                except ssl.SSLWantWriteError:
                    await self._poller.wait(tls.fileno(), WRITE)
                else:
                    return tls
        except BaseException:
            tls.close()
            raise

    def remember_session(self, origin: Origin, sock: socket.socket) -> None:
        """Keep the session of a connection that has served: with TLS 1.3 its tickets arrive after the handshake."""
        if isinstance(sock, ssl.SSLSocket) and sock.session is not None and sock.session.has_ticket:
            self._sessions[origin] = sock.session

    def _context(self, ca_file: str | None) -> ssl.SSLContext:
        context = self._contexts.get(ca_file)
        if context is None:
            context = self._contexts[ca_file] = ssl.create_default_context(cafile=ca_file)
            context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # with OpenSSL 3: a cut must not look like an end
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
        return context
