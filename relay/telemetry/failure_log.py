"""One log line for each try of a channel that failed: what an operator asks when a caller complains.

Beside the metrics, which count but don't tell. Nothing is logged for what went well, or for what was the caller's own mistake.
"""

import logging
from typing import Final

from relay.ports import ExchangeReport, Observer
from relay.telemetry.vocabulary import kind_of

log: Final = logging.getLogger("relay.upstream")


class FailureLog:
    """Implements relay.ports.Observer around another one, which hears everything first."""

    def __init__(self, inner: Observer) -> None:
        self._inner = inner
        self.began = inner.began
        self.stream_opened = inner.stream_opened
        self.stream_closed = inner.stream_closed
        self.refused = inner.refused

    def ended(self, report: ExchangeReport) -> None:
        """Tell of each failed try: which channel and credential, how it failed, after how long."""
        self._inner.ended(report)
        for attempt in report.attempts:
            if kind_of(attempt.result) == "upstream_error":
                candidate = attempt.candidate
                log.warning(
                    "channel failed",
                    extra={
                        "request_id": report.request_id,
                        "channel": candidate.channel.name,
                        "credential": candidate.credential.label if candidate.credential else "",
                        "model": report.model,
                        "code": attempt.result,
                        "detail": attempt.detail,
                        "after_s": round(attempt.duration_s, 3),
                    },
                )
