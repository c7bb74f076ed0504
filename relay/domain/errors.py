"""Faults as a tree by blame. A class says whose fault it is, which status and code it becomes, and whether another channel may be tried.

Turned into JSON only by wire/openai_error.py and into HTTP only by web/boundary.py. `code` is stable: callers may rely on it.
Messages are written for the caller: what was wrong and the next step; never upstream text that was not vetted, never a secret.
"""

from typing import ClassVar


class Fault(Exception):
    """Something that ends an exchange with an OpenAI error object."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    should_retry: ClassVar[bool | None] = None  # X-Should-Retry, which the official SDKs obey before the status

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    @property
    def answer_status(self) -> int:
        """The status that the caller sees."""
        return self.status


# --- the caller's fault: never blamed on a channel, never tried elsewhere


class ClientError(Fault):
    """The request can't be served as it is."""

    status = 400
    type = "invalid_request_error"
    should_retry = False


class InvalidBody(ClientError):
    """Not JSON, not an object, or a field of the wrong type."""

    code = "invalid_request_body"


class MissingField(ClientError):
    code = "missing_required_parameter"


class BadCredentials(ClientError):
    """More than one credential, or a header that can't be read."""

    code = "ambiguous_credentials"


class MissingKey(ClientError):
    status = 401
    code = "missing_api_key"


class InvalidKey(ClientError):
    status = 401
    code = "invalid_api_key"


class ExpiredKey(ClientError):
    status = 401
    code = "expired_api_key"


class AddressNotAllowed(ClientError):
    status = 403
    type = "permission_error"
    code = "address_not_allowed"


class ModelNotAllowed(ClientError):
    status = 403
    type = "permission_error"
    code = "model_not_allowed"


class ModelNotFound(ClientError):
    status = 404
    code = "model_not_found"


class UnknownPath(ClientError):
    status = 404
    code = "unknown_path"


class MethodNotAllowed(ClientError):
    status = 405
    code = "method_not_allowed_here"


class RequestTimeout(ClientError):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"


class RequestTooLarge(ClientError):
    status = 413
    code = "request_too_large"


class UnsupportedMediaType(ClientError):
    status = 415
    code = "unsupported_media_type"


class HttpVersion(ClientError):
    status = 505
    code = "http_version_not_supported"


class MalformedHttp(ClientError):
    """What arrived is not HTTP/1.1 as aiohttp's parser reads it."""

    code = "malformed_http"


# --- the upstream's fault: another channel may be tried as long as no content has reached the caller


class UpstreamError(Fault):
    """A channel failed. `status` is what the caller sees when no other channel could help."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"

    def __init__(self, message: str, *, upstream_status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.upstream_status = upstream_status


class UpstreamUnreachable(UpstreamError):
    """DNS, TCP or TLS failed."""

    code = "upstream_unreachable"


class UpstreamConnectTimeout(UpstreamError):
    status = 504
    code = "upstream_connect_timeout"


class UpstreamFirstByteTimeout(UpstreamError):
    status = 504
    code = "upstream_first_byte_timeout"
    should_retry = False  # the upstream may still be working on it, and will bill it


class UpstreamIdleTimeout(UpstreamError):
    status = 504
    code = "upstream_idle_timeout"
    should_retry = False


class TotalTimeout(UpstreamError):
    status = 504
    code = "total_timeout"
    should_retry = False


class UpstreamProtocol(UpstreamError):
    """The upstream's bytes are not HTTP, or not what was asked for."""

    code = "upstream_protocol_error"


class UpstreamClosed(UpstreamError):
    """The upstream closed or reset the connection before its answer was whole."""

    code = "upstream_closed"


class UpstreamRefused(UpstreamError):
    """A 5xx, a redirect, or a 200 that carries an error."""

    code = "upstream_refused"


class UpstreamAuth(UpstreamError):
    """The channel's own credential was refused (401, 402, 403): never shown to the caller as a 401 of his."""

    code = "upstream_credential_refused"


class UpstreamRateLimited(UpstreamError):
    status = 429
    type = "rate_limit_error"
    code = "upstream_rate_limited"


class UpstreamVerdict(UpstreamError):
    """The upstream says that the request itself is at fault (400, 404, 413, 422 …). Passed on, not retried, channel not blamed."""

    type = "invalid_request_error"
    code = "request_refused_by_upstream"

    def __init__(self, message: str, *, upstream_status: int, body: bytes) -> None:
        super().__init__(message, upstream_status=upstream_status)
        self._seen_status = upstream_status
        self.body = body  # an OpenAI error object, already vetted and re-serialised

    @property
    def answer_status(self) -> int:
        """The upstream's own."""
        return self._seen_status


# --- our own fault or state


class ServiceError(Fault):
    """The relay can't serve now."""

    status = 503
    type = "server_error"


class NoChannel(ServiceError):
    code = "no_channel_available"


class Draining(ServiceError):
    code = "shutting_down"


class Overloaded(ServiceError):
    """Something that every exchange needs is used up, descriptors for one."""

    code = "overloaded"


class Internal(ServiceError):
    """A bug of ours. The message never holds details; the log has them under the request id."""

    status = 500
    code = "internal_error"


def is_retryable(fault: Fault) -> bool:
    """Whether another channel may be tried after this fault (as long as nothing of an answer was sent)."""
    return isinstance(fault, UpstreamError) and not isinstance(fault, (UpstreamVerdict, TotalTimeout))
