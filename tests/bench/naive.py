"""The relay that anybody would write: aiohttp's server in front, aiohttp's client behind, a loop that copies chunks.

It does the same work for each request as ours (key by hash, JSON, model map, usage) and is well behaved (one session, no limit of
connections), so that what it costs more is the price of the streaming path. It runs as `web.run_app` runs anything, on asyncio's own
loop; the word `uvloop` puts it on the faster one.
"""

import asyncio
import hashlib
import sys
from typing import Any

import orjson
import uvloop
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

from tests.bench.wire import KEY, MODEL, PATH, UPSTREAM_MODEL

_KEYS = {hashlib.sha256(KEY.encode()).digest(): "bench"}
_MODELS = {MODEL: UPSTREAM_MODEL}


class NaiveRelay:
    """One handler and what it counts."""

    def __init__(self, upstream: str) -> None:
        self._url = f"{upstream}{PATH}"
        self._session: ClientSession
        self.tokens = 0

    async def session(self, _app: web.Application) -> Any:  # noqa: ANN401 - aiohttp wants an async generator and says so in no type
        """Keep the client open for as long as the server is."""
        async with ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None)) as self._session:
            yield

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Relay one request."""
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if hashlib.sha256(secret.encode()).digest() not in _KEYS:
            return web.json_response({"error": {"message": "bad key"}}, status=401)
        body = orjson.loads(await request.read())
        body["model"] = _MODELS[body["model"]]
        headers = {"Authorization": "Bearer upstream-secret", "Content-Type": "application/json"}
        async with self._session.post(self._url, data=orjson.dumps(body), headers=headers) as answer:
            if not body.get("stream"):
                whole = await answer.read()
                self._count(whole)
                return web.Response(status=answer.status, body=whole, content_type="application/json")
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                if b'"usage"' in piece:
                    self._count(next(line for line in piece.split(b"\n") if b'"usage"' in line).removeprefix(b"data: "))
                await response.write(piece)
            await response.write_eof()
            return response

    def _count(self, answer: bytes) -> None:
        self.tokens += orjson.loads(answer)["usage"]["total_tokens"]


def main(port: int, upstream: str, *, on_uvloop: bool) -> None:
    """Serve until a signal."""
    relay = NaiveRelay(upstream)
    app = web.Application()
    app.cleanup_ctx.append(relay.session)
    app.router.add_post(PATH, relay.handle)
    loop = uvloop.new_event_loop() if on_uvloop else asyncio.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, backlog=4096, loop=loop)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], on_uvloop="uvloop" in sys.argv[3:])
