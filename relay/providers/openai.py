"""The OpenAI dialect: POST to base URL + path, `Authorization: Bearer`, error objects (platform.openai.com/docs/api-reference).

Spoken by most vendors and local servers; what differs between them is data of the channel.
"""

from typing import Final

from relay import __version__
from relay.domain.channel import Candidate
from relay.domain.endpoints import Endpoint
from relay.domain.errors import UpstreamError, UpstreamVerdict
from relay.domain.failover import CALLERS_FAULT, blame
from relay.wire.http_head import Head
from relay.wire.openai_error import Refusal, read_refusal, verdict_body

_LONGEST_WAIT_S: Final = 24 * 3600.0


class OpenAI:
    """Adapter of the OpenAI dialect."""

    def request_head(self, candidate: Candidate, endpoint: Endpoint) -> bytes:
        """Nothing of the caller's is in it: no header of his reaches an upstream. Identity coding, since bytes pass verbatim."""
        channel = candidate.channel
        lines = [
            f"POST {channel.path}{endpoint.upstream_path} HTTP/1.1",
            f"Host: {channel.authority}",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "Accept-Encoding: identity",
            f"User-Agent: postgate/{__version__}",
        ]
        if candidate.credential is not None:
            lines.append(f"Authorization: Bearer {candidate.credential.secret}")
        return "\r\n".join(lines).encode("ascii") + b"\r\n"

    def explain(self, head: Head, body: bytes, *, secret: str = "") -> UpstreamError:
        """400-like statuses are the caller's to mend and pass with their text; all others are the channel's fault and keep theirs."""
        if head.status in CALLERS_FAULT:
            refusal = read_refusal(body, secret) or Refusal("The upstream refused the request.", None, None, None)
            return UpstreamVerdict(refusal.message, upstream_status=head.status, body=verdict_body(refusal))
        return blame(head.status, retry_after(head.headers))


def retry_after(headers: dict[str, str]) -> float | None:
    """Seconds to wait from `retry-after-ms` or `retry-after`; dates are not read, since that needs a clock."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * scale
        except ValueError:
            continue
        if 0 <= wait_s <= _LONGEST_WAIT_S:
            return wait_s
    return None
