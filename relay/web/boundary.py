"""Where faults become HTTP, and the only place that catches everything on behalf of a caller."""

import logging
import math
import os
from collections.abc import Callable
from typing import Final

from aiohttp import web

from relay.domain.endpoints import Endpoint
from relay.domain.errors import ClientError, Draining, Fault, Internal, MalformedHttp, RequestTooLarge
from relay.ports import ClientGone
from relay.web.stream import TAKEN, ErrorAnswer, Handler, Spliced
from relay.wire.openai_error import error_body

log: Final = logging.getLogger("relay.web")

JSON: Final = "application/json"
_TOO_LARGE: Final = 413

REQUEST_ID: Final = web.RequestKey("request_id", str)
RequestIdOf = Callable[[web.BaseRequest], str]


def respond(status: int, body: bytes, request_id: str, headers: tuple[tuple[str, str], ...] = ()) -> web.Response:
    """A JSON answer with the headers that every answer has."""
    response = web.Response(status=status, body=body, content_type=JSON)
    response.headers["X-Request-Id"] = request_id
    response.headers["Cache-Control"] = "no-store"
    response.headers["Server"] = "postgate"  # else aiohttp names itself, Python and both versions
    for name, value in headers:
        response.headers[name] = value
    return response


def fault_response(fault: Fault, request_id: str) -> web.Response:
    """The OpenAI error object, with what the official SDKs read beside it."""
    headers = []
    if fault.retry_after_s is not None:
        headers.append(("Retry-After", str(max(1, math.ceil(fault.retry_after_s)))))
    if fault.should_retry is not None:
        headers.append(("X-Should-Retry", "true" if fault.should_retry else "false"))
    return respond(fault.answer_status, error_body(fault), request_id, tuple(headers))


def parser_answers(refused: Callable[[Endpoint | None, int, str], None]) -> ErrorAnswer:
    """What answers, and counts, what aiohttp's parser refused. No word of the request is in it, its id neither."""

    def answer(request: web.BaseRequest, status: int) -> web.Response:
        del request
        if status == _TOO_LARGE:
            fault: Fault = RequestTooLarge("The request is larger than this service allows.")
        elif status < 500:  # noqa: PLR2004 - client errors
            fault = MalformedHttp("The request is not valid HTTP/1.1.")
        else:
            fault = Internal("The service failed to handle the request.")
        refused(None, fault.status, fault.code or fault.type)
        return fault_response(fault, os.urandom(16).hex())

    return answer


def guarded(handler: Handler, request_id_of: RequestIdOf) -> Handler:
    """Turn whatever a handler raises into an answer."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        request_id = request_id_of(request)
        request[REQUEST_ID] = request_id
        try:
            return await handler(request)
        except Fault as fault:
            response = fault_response(fault, request_id)
            if isinstance(fault, Draining) or (isinstance(fault, ClientError) and not request.content.is_eof()):
                response.force_close()  # the caller should go elsewhere, or the rest of the body is not worth reading
            return response
        except ClientGone:
            return Spliced(keep_alive=False)
        except Exception:
            log.exception("unexpected failure", extra={"request_id": request_id})
            if TAKEN in request:
                return Spliced(keep_alive=False)  # a stream may have begun: whoever reads it sees a cut
            return fault_response(Internal("The service failed to handle the request."), request_id)

    return handle
