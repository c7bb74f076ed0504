"""A RelayServer that runs a handler of the test's own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from aiohttp import web

from relay.web.boundary import guarded, parser_answers
from relay.web.stream import Handler, RelayServer
from tests.support.caller import Caller

BODY_LIMIT = 1000


class Serving:
    """A server, and its callers."""

    def __init__(self, server: RelayServer, port: int) -> None:
        self.server = server
        self.port = port
        self._callers: list[Caller] = []

    async def caller(self, *, receive_buffer: int = 0) -> Caller:
        caller = await Caller.connect(self.port, receive_buffer=receive_buffer)
        self._callers.append(caller)
        return caller

    def leave(self) -> None:
        for caller in self._callers:
            caller.fin()


@contextlib.asynccontextmanager
async def serving(handler: Handler, *, is_guarded: bool = True, send_buffer: int = 0, keepalive_s: float = 5) -> AsyncIterator[Serving]:
    """Serve at a free port, with the boundary or without it."""
    server = RelayServer(
        guarded(handler, lambda _: "id-1") if is_guarded else handler,
        parser_answers(lambda *_: None),
        body_limit=BODY_LIMIT,
        keepalive_s=keepalive_s,
        header_limit=2000,
        headers=20,
    )
    sock = socket.create_server(("127.0.0.1", 0))
    if send_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    listener = await asyncio.get_running_loop().create_server(server, sock=sock)
    running = Serving(server, sock.getsockname()[1])
    try:
        yield running
    finally:
        running.leave()
        listener.close()
        await server.shutdown(1)


async def answered(request: web.BaseRequest) -> web.StreamResponse:
    """The simplest answer."""
    return web.Response(body=await request.read())
