"""Every answer that nginx makes itself: which status, which stable code, which words, and whether a retry helps.

One table for the statuses and one for the reasons of a 403. Where the relay knows the same fault, its code is used, so that
a caller can't tell which hop refused.
"""

import json
from dataclasses import dataclass

from relay.domain import errors
from relay.edge.conf import Directive, Text, Var, block, line, table
from relay.edge.headers import to_client
from relay.edge.policy import EdgePolicy

FOLDER = "/__edge_e"
"""Named locations fail for a request that nginx couldn't parse (it has no path yet), so error pages have paths, all of them internal."""

_CALLER = "invalid_request_error"
_SERVER = "server_error"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One nginx-made answer. `catches` are the statuses that become it."""

    status: int
    code: str
    type: str
    message: str
    catches: tuple[int, ...]
    should_retry: bool | None = None  # X-Should-Retry: the official SDKs obey it before the status
    retry_after_s: int | None = None
    page: str = ""
    is_early: bool = False  # can be made before the request has reached a location, for a name that isn't ours too

    @property
    def uri(self) -> str:
        """Where the answer is written down."""
        return f"{FOLDER}/{self.page or self.status}"


FORBIDDEN = Refusal(403, "", _CALLER, "", (403, 404, 405), should_retry=False, is_early=True)
"""Its code and message depend on the reason: see DENIALS. 404 and 405 fold into it, since the outside is not told what there is inside."""

CLEARTEXT = Refusal(
    403,
    "https_required",
    _CALLER,
    "This service is offered over HTTPS only. Change the base URL to https://, and replace the API key: it was sent in clear.",
    catches=(),
    should_retry=False,
    page="cleartext",
)

REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        400,
        str(errors.MalformedHttp.code),
        _CALLER,
        "The request is not well-formed HTTP as this server reads it.",
        catches=(400, 411, 412, 416, 417, 501, 505),
        is_early=True,
        should_retry=False,
    ),
    Refusal(
        400,
        "https_required",
        _CALLER,
        "Plain HTTP was sent to an HTTPS port. Change the base URL to https://, and replace the API key: it was sent in clear.",
        catches=(497,),
        is_early=True,
        should_retry=False,
        page="497",
    ),
    FORBIDDEN,
    Refusal(408, str(errors.RequestTimeout.code), _CALLER, "The request did not arrive in time.", catches=(408,), is_early=True),
    Refusal(
        413,
        str(errors.RequestTooLarge.code),
        _CALLER,
        "The request body is larger than this service takes.",
        catches=(413,),
        should_retry=False,
    ),
    Refusal(414, "uri_too_long", _CALLER, "The request line is too long.", catches=(414,), should_retry=False, is_early=True),
    Refusal(
        421,
        "misdirected_request",
        _CALLER,
        "This server does not answer for that host name.",
        catches=(421,),
        should_retry=False,
        is_early=True,
    ),
    Refusal(
        426,
        "upgrade_not_supported",
        _CALLER,
        "WebSocket is not offered here. Use POST over HTTPS; streams come as server-sent events.",
        catches=(426,),
        should_retry=False,
    ),
    Refusal(
        429,
        "rate_limit_exceeded",
        errors.UpstreamRateLimited.type,
        "Too many requests from this address. Wait a moment and try again.",
        catches=(429,),
        retry_after_s=1,
    ),
    Refusal(
        431,
        "headers_too_large",
        _CALLER,
        "The request headers are too large or too many.",
        catches=(431, 494),
        should_retry=False,
        is_early=True,
    ),
    Refusal(500, str(errors.Internal.code), _SERVER, "The server failed to handle the request.", catches=(500,), is_early=True),
    Refusal(
        502, "relay_unavailable", _SERVER, "The service is restarting or failed to answer. Try again.", catches=(502,), retry_after_s=2
    ),
    Refusal(503, "overloaded", _SERVER, "The service can not take the request now. Try again.", catches=(503,), retry_after_s=2),
    Refusal(
        504,
        "relay_timeout",
        _SERVER,
        "No answer in time. The request may still have been worked on and counted, so it is not to be repeated blindly.",
        catches=(504,),
        should_retry=False,
    ),
)

DENIALS: dict[str, tuple[str, str]] = {
    "method": (str(errors.MethodNotAllowed.code), "Only POST is served here, and only on the published paths under /v1."),
    "path": (
        str(errors.UnknownPath.code),
        "This path is not published, or not in exactly this form: no query, no encoding, no doubled or trailing slash.",
    ),
    "version": (str(errors.HttpVersion.code), "This version of HTTP is not served here. Use HTTP/1.1."),
    "upgrade": ("upgrade_not_supported", "Protocol upgrades are not offered here. Use POST; streams come as server-sent events."),
    "transfer": ("transfer_encoding_not_supported", "This Transfer-Encoding is not served here. Send Content-Length or chunked."),
    "origin": ("origin_not_allowed", "Web pages of this origin may not call this service from a browser."),
}
"""Reason (`$edge_denial` of admission.py) -> stable code and message of the 403."""

_OTHER_DENIAL = ("forbidden_by_edge", "This request is not served here.")


def denial_maps() -> tuple[Directive, ...]:
    """Choose code and words of a 403 by the reason that admission found."""
    why = "A refusal says which rule refused, under a code that stays the same from release to release."
    return tuple(
        table(
            Var("edge_denial"),
            result,
            [(reason, _in_json(words[at])) for reason, words in DENIALS.items()],
            otherwise=_in_json(_OTHER_DENIAL[at]),
            why="" if at else why,
        )
        for at, result in enumerate(("edge_denial_code", "edge_denial_message"))
    )


def error_pages(policy: EdgePolicy, *, only_early: bool = False) -> tuple[Directive, ...]:
    """Send each status that nginx makes to its JSON. A location with an error_page of its own would lose all of these.

    A server that forwards nothing needs `only_early` ones: what can go wrong before a request has reached its location.
    """
    why = "Clients parse an answer as JSON whoever made it: each status that nginx makes itself becomes an OpenAI error object."
    return tuple(
        line("error_page", *(str(status) for status in refusal.catches), f"={refusal.status}", refusal.uri, why="" if at else why)
        for at, refusal in enumerate(_used(policy, only_early=only_early))
    )


def error_locations(policy: EdgePolicy, *, only_early: bool = False) -> tuple[Directive, ...]:
    """Write the JSON of each status. Asked for from outside, an internal location is a 404, which folds into the 403."""
    return tuple(
        block("location", "=", refusal.uri, body=(line("internal"), *answer(policy, refusal)))
        for refusal in _used(policy, only_early=only_early)
    )


def answer(policy: EdgePolicy, refusal: Refusal) -> tuple[Directive, ...]:
    """Say one refusal: headers, then status and body."""
    more: list[tuple[str, str]] = []
    if refusal.should_retry is not None:
        more.append(("X-Should-Retry", "true" if refusal.should_retry else "false"))
    if refusal.retry_after_s is not None:
        more.append(("Retry-After", str(refusal.retry_after_s)))
    if refusal.status == 426:  # noqa: PLR2004 - RFC 9110 15.5.22: a 426 must name what it would take instead
        more += [("Upgrade", "HTTP/1.1"), ("Connection", "upgrade")]
    return (*to_client(policy, *more), line("return", str(refusal.status), error_object(refusal)))


def error_object(refusal: Refusal) -> Text:
    """Give the body: OpenAI's four fields, and the request id beside them."""
    code: str | Var = refusal.code or Var("edge_denial_code")
    message: str | Var = refusal.message or Var("edge_denial_message")
    return Text(
        (
            '{"error":{"message":"',
            _in_json(message) if isinstance(message, str) else message,
            f'","type":"{refusal.type}","param":null,"code":"',
            code,
            '","request_id":"',
            Var("request_id"),
            '"}}',
        )
    )


def _used(policy: EdgePolicy, *, only_early: bool) -> tuple[Refusal, ...]:
    with_tls = policy.certificate is not None
    present = {"426": policy.upgrade_426, "421": with_tls, "497": with_tls}
    made = (refusal for refusal in REFUSALS if present.get(refusal.page or str(refusal.status), True))
    return tuple(refusal for refusal in made if refusal.is_early or not only_early)


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]
