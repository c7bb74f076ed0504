"""What a provider is to the rest of the relay: two verbs, neither of which does IO.

`request_head` says how a request is addressed; `explain` turns any refusal into one UpstreamError. Providers whose answers
are not OpenAI's bring a decoder as well; the OpenAI dialect passes verbatim and needs none.
"""

from typing import Protocol

from relay.domain.channel import Candidate
from relay.domain.endpoints import Endpoint
from relay.domain.errors import UpstreamError
from relay.wire.http_head import Head


class Adapter(Protocol):
    """One dialect."""

    def request_head(self, candidate: Candidate, endpoint: Endpoint) -> bytes:
        """Request line and headers up to those that differ from call to call (request id, length)."""
        ...

    def explain(self, head: Head, body: bytes, *, secret: str = "") -> UpstreamError:
        """The fault behind an answer that is not a success. `secret` is hidden, since some upstreams repeat it and callers read it."""
        ...
