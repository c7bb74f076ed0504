"""The seam to aiohttp's server: the few things of it that are not its public surface, in one place.

Held to the pinned minor version by tests/unit/web/test_stream.py. What is relied on: `RequestHandler.handle_error` makes every answer
of the server's own; a response's `prepare` and `write_eof` are all that `finish_response` calls, and `keep_alive` decides what
happens to the connection afterwards; the connection's `_drain_helper` returns once its transport has resumed writing, or is lost.
"""

import asyncio
import math
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from relay.config.ladder import CLIENT_SEND_S
from relay.domain.errors import HttpVersion, Overloaded
from relay.ports import ClientGone
from relay.wire.http_head import response_head

SEND_TIMEOUT_S: Final = CLIENT_SEND_S
"""A caller that takes nothing for so long is let go."""

MOST_BUFFERED: Final = 64 << 10
"""Bytes of whole answers that may wait for a caller while his next request is served."""

_LOOKS: Final = 8  # at a caller's progress, in one send timeout

TAKEN: Final = web.RequestKey("taken", bool)
"""Set on a request whose socket was taken: nothing may be written to it through the server."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
ErrorAnswer = Callable[[web.BaseRequest, int], web.Response]


class _Connection(RequestHandler):
    """aiohttp's connection, whose own error answers are ours: its text would echo header bytes, a key among them."""

    __slots__ = ("_error_answer",)

    _error_answer: ErrorAnswer

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refused, or what escaped the boundary."""
        del exc, message
        answer = self._error_answer(request, status)
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ANN401 - aiohttp's signature
        """Say nothing: the arguments may hold bytes of a request."""


class RelayServer(web.Server):
    """aiohttp's low-level server: no router, no middlewares, no decompression, no access log."""

    def __init__(
        self, handler: Handler, error_answer: ErrorAnswer, *, body_limit: int, keepalive_s: float, header_limit: int, headers: int
    ) -> None:
        super().__init__(handler, request_factory=self._request, handler_cancellation=True)
        self._error_answer = error_answer
        self._body_limit = body_limit
        self._options: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": keepalive_s,
            "auto_decompress": False,
            "max_line_size": header_limit,
            "max_field_size": header_limit,
            "max_headers": headers,
            "tcp_keepalive": True,
        }

    def __call__(self) -> RequestHandler:
        """A new connection."""
        connection = _Connection(self, loop=self._loop, **self._options)
        connection._error_answer = self._error_answer  # noqa: SLF001 - our own subclass
        return connection

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=self._body_limit)


class Spliced(web.StreamResponse):
    """The response to a request whose answer was already written to the socket, by us."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._may_keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing."""
        self._keep_alive = self._may_keep_alive and request.keep_alive

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""
        del data
        self._eof_sent = True


async def write_whole(
    request: web.BaseRequest, status: int, headers: list[tuple[str, str]], body: bytes, *, keep_alive: bool, within_s: float = math.inf
) -> Spliced:
    """Write an answer in one piece, past aiohttp's response machinery (which costs as much as all the rest of the relay).

    Raises ClientGone if the caller does not take it, or not all but the last of it `within_s`.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        return Spliced(keep_alive=False)
    headers.append(("Content-Length", str(len(body))))
    if not request.keep_alive or not keep_alive:
        headers.append(("Connection", "close"))
    elif request.version < HttpVersion11:
        headers.append(("Connection", "keep-alive"))
    head = response_head(status, headers)
    if len(body) < MOST_BUFFERED:
        transport.write(head + body)
    else:
        transport.write(head)  # not joined, nor with writelines, which asyncio joins: that would be one more copy of a large body
        transport.write(body)
    del body  # what has left is not kept while the rest waits for a slow caller
    if transport.get_write_buffer_size() > MOST_BUFFERED:
        await _taken(request, transport, MOST_BUFFERED, within_s)
    return Spliced(keep_alive=keep_alive)


async def take_socket(request: web.BaseRequest, *, within_s: float = math.inf) -> int:
    """A duplicate of the caller's socket, once nothing of the server's waits to be written to it. The taker closes it.

    Raises HttpVersion where a stream can't be framed, ClientGone if the connection is closing or what waits is not taken `within_s`,
    Overloaded if there is no descriptor left.
    """
    if request.version < HttpVersion11:
        msg = "Streams need HTTP/1.1."
        raise HttpVersion(msg)
    transport = request.transport
    if transport is None:
        raise ClientGone
    await _taken(request, transport, 0, within_s)
    sock = transport.get_extra_info("socket")
    msg = "The service can not take the request now. Try again."
    if sock is None:
        raise Overloaded(msg, retry_after_s=1)
    try:
        fd = os.dup(sock.fileno())
    except OSError:
        raise Overloaded(msg, retry_after_s=1) from None
    request[TAKEN] = True
    return fd


async def _taken(request: web.BaseRequest, transport: asyncio.WriteTransport, enough: int, within_s: float) -> None:
    """Wait until no more than `enough` bytes wait for the caller. Raises ClientGone; closes hard if he takes none for too long."""
    if transport.is_closing():
        raise ClientGone
    if transport.get_write_buffer_size() <= enough:
        return
    loop = asyncio.get_running_loop()
    least, since = math.inf, loop.time()
    give_up_at = since + within_s
    transport.set_write_buffer_limits(high=enough, low=enough)  # the transport pauses its protocol now, and resumes it at `enough`
    drained = loop.create_task(request.protocol._drain_helper())  # noqa: SLF001 - part of the seam
    try:
        while not transport.is_closing():
            waiting, now = transport.get_write_buffer_size(), loop.time()
            if waiting <= enough:
                transport.set_write_buffer_limits()
                return
            if waiting < least:
                least, since = waiting, now
            if now >= give_up_at or now - since >= SEND_TIMEOUT_S:
                transport.abort()
                reason = "send_timeout"
                raise ClientGone(reason)
            look_s = min(SEND_TIMEOUT_S / _LOOKS, give_up_at - now)
            if drained.done():  # woken with more than enough still waiting: never seen, and must not spin
                await asyncio.sleep(look_s)
            else:
                await asyncio.wait((drained,), timeout=look_s)
    finally:
        if not drained.cancel() and not drained.cancelled():
            drained.exception()  # a lost connection, which is_closing tells as well
    raise ClientGone
