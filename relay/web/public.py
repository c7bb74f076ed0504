"""The public listener: takes a request off aiohttp's hands and gives the answer back. What happens between is exchange.py.

Dispatch is one look-up of the exact raw path. Who the caller is (address, request id) is believed from the edge's headers only if the
peer is the edge: a unix socket or loopback.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import HttpVersion11, web

from relay.domain.access import secret_from
from relay.domain.endpoints import BY_PATH, MODELS_PATH, Endpoint
from relay.domain.errors import (
    Draining,
    Fault,
    InvalidBody,
    MethodNotAllowed,
    RequestTimeout,
    RequestTooLarge,
    UnknownPath,
    UnsupportedMediaType,
)
from relay.ports import Inbound, Streamed, Whole
from relay.web.boundary import REQUEST_ID, fault_response, respond
from relay.web.stream import Spliced, take_socket, write_whole

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_OWNER: Final = "postgate"
_HEADERS: Final = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]

Walk = Callable[[Inbound], Awaitable[Whole | Streamed]]
ListModels = Callable[[str, str], tuple[str, ...]]


def is_edge(request: web.BaseRequest) -> bool:
    """Whether the peer may speak for somebody else: only what can connect to our unix socket or from this machine."""
    if request.transport is None:
        return False
    peer = request.transport.get_extra_info("peername")
    return not isinstance(peer, tuple) or peer[0] == "::1" or str(peer[0]).removeprefix("::ffff:").startswith("127.")


def address_of(request: web.BaseRequest) -> str:
    """The caller's address."""
    told = request.headers.get("X-Real-IP")
    if told is not None and is_edge(request):
        return told
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(peer[0]) if isinstance(peer, tuple) else ""


@dataclass(frozen=True, slots=True)
class PublicSettings:
    """What the listener needs of the Settings."""

    body_limit: int
    body_timeout_s: float
    total_timeout_s: float  # from the request to the last of its answer
    created: int  # seconds since 1970; when the models came to be, as far as callers are told


class PublicListener:
    """Requests in, answers out."""

    def __init__(
        self,
        walk: Walk,
        models: ListModels,
        settings: PublicSettings,
        new_request_id: Callable[[], str],
        now: Callable[[], float],
        refused: Callable[[Endpoint | None, int, str], None],
    ) -> None:
        self._walk = walk
        self._models = models
        self._settings = settings
        self._new_request_id = new_request_id
        self._now = now
        self._refused = refused
        self.is_draining = False
        self.open = 0  # exchanges under way

    def request_id(self, request: web.BaseRequest) -> str:
        """The edge's request id, or a new one."""
        told = request.headers.get("X-Request-Id")
        if told is not None and _REQUEST_ID.fullmatch(told) and is_edge(request):
            return told
        return self._new_request_id()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request. Raises Fault, which the boundary turns into an answer."""
        path = request.raw_path.partition("?")[0]
        endpoint = BY_PATH.get(path)
        if endpoint is not None and request.method == "POST":
            return await self._post(request, endpoint)
        if path == MODELS_PATH and request.method == "GET":
            return self._list_models(request)
        if endpoint is not None or path == MODELS_PATH:
            return self._not_allowed(request, endpoint)
        msg = "There is nothing at this path. The paths of this service are listed in its documentation."
        raise self._counted(UnknownPath(msg), None)

    async def _post(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        began_at = self._now()
        if self.is_draining:
            msg = "The service is restarting. Try again."
            raise self._counted(Draining(msg, retry_after_s=1), endpoint)
        self.open += 1
        try:
            return await self._exchange(request, endpoint, began_at)
        finally:
            self.open -= 1

    async def _exchange(self, request: web.BaseRequest, endpoint: Endpoint, began_at: float) -> web.StreamResponse:
        try:
            secret = _secret(request)
            body = await self._body(request)
        except Fault as fault:
            raise self._counted(fault, endpoint) from None
        answer = await self._walk(
            Inbound(
                request_id=request[REQUEST_ID],
                endpoint=endpoint,
                body=body,
                secret=secret,
                address=address_of(request),
                began_at=began_at,
                take_socket=lambda: take_socket(request, within_s=self._left_s(began_at)),
            )
        )
        if isinstance(answer, Streamed):
            return Spliced(keep_alive=answer.keep_alive and not self.is_draining)
        headers = [*_HEADERS, ("X-Request-Id", request[REQUEST_ID])]
        within_s = self._left_s(began_at)
        written = write_whole(request, answer.status, headers, answer.body, keep_alive=not self.is_draining, within_s=within_s)
        del answer, body  # neither is kept while a slow caller reads
        return await written

    def _left_s(self, began_at: float) -> float:
        return began_at + self._settings.total_timeout_s - self._now()

    def _not_allowed(self, request: web.BaseRequest, endpoint: Endpoint | None) -> web.Response:
        allowed = "GET" if endpoint is None else "POST"
        fault = MethodNotAllowed(f"This path takes {allowed} only.")
        response = fault_response(self._counted(fault, endpoint), request[REQUEST_ID])
        response.headers["Allow"] = allowed
        if not request.content.is_eof():
            response.force_close()
        return response

    def _counted(self, fault: Fault, endpoint: Endpoint | None) -> Fault:
        """Count what never becomes an exchange; an exchange reports itself."""
        self._refused(endpoint, fault.status, fault.code or fault.type)
        return fault

    async def _body(self, request: web.BaseRequest) -> bytes:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            msg = "A compressed request body is not accepted."
            raise UnsupportedMediaType(msg)
        if "Content-Type" in request.headers and request.content_type != "application/json":
            msg = "The request's Content-Type must be application/json."
            raise UnsupportedMediaType(msg)
        limit = self._settings.body_limit
        too_large = f"The request body is larger than the {limit} bytes that this service allows."
        if (request.content_length or 0) > limit:
            raise RequestTooLarge(too_large)
        try:
            if request.content.is_eof():
                return await request.read()  # the edge sends whole bodies: nothing to wait for
            _continue(request)
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise RequestTooLarge(too_large) from None
        except TimeoutError:
            msg = "The request body did not arrive in time."
            raise RequestTimeout(msg) from None
        except web.RequestPayloadError:
            msg = "The request body is not framed as its headers say."
            raise InvalidBody(msg) from None

    def _list_models(self, request: web.BaseRequest) -> web.Response:
        try:
            models = self._models(_secret(request), address_of(request))
        except Fault as fault:
            raise self._counted(fault, None) from None
        created = self._settings.created
        listed = [{"id": model, "object": "model", "created": created, "owned_by": _OWNER} for model in models]
        return respond(200, orjson.dumps({"object": "list", "data": listed}), request[REQUEST_ID])


def _secret(request: web.BaseRequest) -> str:
    headers = request.headers
    return secret_from(headers.getall("Authorization", ()), headers.getall("x-api-key", ()))


def _continue(request: web.BaseRequest) -> None:
    """Answer `Expect: 100-continue`, which aiohttp's low-level server leaves to its user."""
    expected = request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11
    if expected and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
