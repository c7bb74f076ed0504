"""The admin listener: /metrics, /healthz, /readyz. Bound to loopback, never reachable through the edge: it is another socket.

A page in a browser on this machine could reach it all the same, by a name of its own that it lets point here (DNS rebinding). Such a
request carries that name as its Host, so only names and addresses of this listener are answered.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import orjson
from aiohttp import web

from relay.domain.errors import ClientError, MethodNotAllowed, UnknownPath
from relay.web.boundary import guarded

Scrape = Callable[[str], tuple[bytes, str]]
"""Accept header -> body and content type. Slow: called in a thread."""

Ready = Callable[[], tuple[bool, list[str]]]
"""Whether requests can be served, and if not, why."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "postgate",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_METRICS: Final = "/metrics"
_HEALTHZ: Final = "/healthz"
_PATHS: Final = (_METRICS, _HEALTHZ, "/readyz")
_OK: Final = 200
_UNAVAILABLE: Final = 503
_NOT_ALLOWED: Final = 405
_BODY_BYTES: Final = 1024  # nothing here reads one


class HostNotAllowed(ClientError):
    """The request was meant for somebody else."""

    status = 403
    type = "permission_error"
    code = "host_not_allowed"


def build(scrape: Scrape, ready: Ready, health: Mapping[str, str], *, names: Collection[str] = ()) -> web.Application:
    """The application. `health` is read at each request; `names`: further host names of this listener, besides loopback."""
    pages = _Pages(scrape, ready, health, frozenset(name.lower() for name in names))
    app = web.Application(client_max_size=_BODY_BYTES)
    app.router.add_route("*", "/{rest:.*}", guarded(pages.handle, lambda _: secrets.token_hex(16)))
    app.on_response_prepare.append(_add_headers)
    app.on_cleanup.append(pages.close)
    return app


def is_own_host(host: str, own_address: str, names: Collection[str] = ()) -> bool:
    """Whether a Host header names this listener: a loopback name or address, the address that was connected to, or one of `names`."""
    found = _HOST.fullmatch(host)
    if not found:
        return False
    name = found[1].lower().strip("[]")
    if name == "localhost" or name in names:
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or address == _address(own_address))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


class _Pages:
    """Exact paths, GET alone."""

    def __init__(self, scrape: Scrape, ready: Ready, health: Mapping[str, str], names: frozenset[str]) -> None:
        self._scrape = scrape
        self._ready = ready
        self._health = health
        self._names = names
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scrape")

    async def close(self, app: web.Application) -> None:
        """End the thread."""
        del app
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request. Raises Fault."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not is_own_host(hosts[0], _own_address(request), self._names):
            msg = "This listener answers only to its own name. Use `localhost` or its address."
            raise HostNotAllowed(msg)
        path = request.rel_url.raw_path
        if path not in _PATHS:
            msg = f"There is nothing here but {', '.join(_PATHS)}."
            raise UnknownPath(msg)
        if request.method != "GET":
            msg = "Use GET."
            raise MethodNotAllowed(msg)
        if path == _METRICS:
            return await self._metrics(",".join(request.headers.getall("Accept", [])))
        return self._alive() if path == _HEALTHZ else self._prepared()

    async def _metrics(self, accept: str) -> web.Response:
        body, content_type = await asyncio.get_running_loop().run_in_executor(self._thread, self._scrape, accept)
        return web.Response(body=body, headers={"Content-Type": content_type})

    def _alive(self) -> web.Response:
        return _json(_OK, {"status": "ok", **self._health})

    def _prepared(self) -> web.Response:
        ready, reasons = self._ready()
        if ready:
            return _json(_OK, {"status": "ready"})
        return _json(_UNAVAILABLE, {"status": "not ready", "reasons": reasons})


def _json(status: int, body: Mapping[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def _own_address(request: web.BaseRequest) -> str:
    """The address that the caller connected to; empty for a unix socket."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if isinstance(name, tuple) else ""


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    del request
    response.headers.update(_HEADERS)
    if response.status == _NOT_ALLOWED:
        response.headers["Allow"] = "GET"
