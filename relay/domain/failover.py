"""What a refusal means: whose fault it is by its status, and what the caller is told when no channel could answer."""

from collections.abc import Sequence
from typing import Final

from relay.domain.errors import Fault, NoChannel, UpstreamAuth, UpstreamError, UpstreamRateLimited, UpstreamRefused

CALLERS_FAULT: Final = frozenset(
    {400, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 431, 451}
)
"""Statuses by which an upstream says that the request itself is at fault: passed on, not tried elsewhere, the channel not blamed."""

_CREDENTIAL: Final = frozenset({401, 402, 403})
_TOO_MANY: Final = 429
_REDIRECTS: Final = range(300, 400)


def blame(status: int, retry_after_s: float | None) -> UpstreamError:
    """The fault that an upstream's status means, for statuses that are not the caller's fault."""
    if status in _CREDENTIAL:
        return UpstreamAuth("The upstream refused the channel's credential.", upstream_status=status)
    if status == _TOO_MANY:
        return UpstreamRateLimited("The upstream is rate limiting. Try again later.", upstream_status=status, retry_after_s=retry_after_s)
    if status in _REDIRECTS:
        return UpstreamRefused("The upstream answered with a redirect, which is not followed.", upstream_status=status)
    return UpstreamRefused("The upstream failed to answer.", upstream_status=status, retry_after_s=retry_after_s)


def verdict(faults: Sequence[UpstreamError], model: str) -> Fault:
    """What the caller is told after every try failed: rate limits only if all were, else the last fault; never a 401 that is not his."""
    if not faults:
        return NoChannel(f"No channel can serve the model `{model}` now.", retry_after_s=5)
    limited = [fault for fault in faults if isinstance(fault, UpstreamRateLimited)]
    if len(limited) == len(faults):
        waits = [fault.retry_after_s for fault in limited if fault.retry_after_s is not None]
        return UpstreamRateLimited(limited[-1].message, retry_after_s=min(waits) if waits else 5)
    others = [fault for fault in faults if not isinstance(fault, UpstreamRateLimited)]
    last = others[-1]
    if isinstance(last, UpstreamAuth):
        return NoChannel(f"No channel can serve the model `{model}` now.", retry_after_s=30)
    return last
