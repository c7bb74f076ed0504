"""What Prometheus sees: one registry of its own, the observer that counts into it, and the text of a scrape.

Nothing here runs per chunk. An exchange costs a few dict look-ups when it begins and when it is over.
"""

import platform
import re
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics

from relay.domain.channel import Channel
from relay.domain.endpoints import Endpoint
from relay.ports import Attempt, ExchangeReport
from relay.telemetry import catalogue
from relay.telemetry.catalogue import MOST_LINES, OTHER
from relay.telemetry.series import Board
from relay.telemetry.vocabulary import AUTH_FAILURES, GONE, OK, kind_of, known_code, provider_name

_OPENMETRICS: Final = re.compile(r"\s*application/openmetrics-text\s*(?:;|\Z)")
_UNWANTED: Final = re.compile(r";\s*q=0(?:\.0*)?\s*(?:;|\Z)")
_NO_STATUS: Final = "499"  # nginx's number for a caller who left
_STATUSES: Final = {status: str(status) for status in range(100, 600)}
_PHASES: Final = ("head", "stream")
_MODEL_LABELS: Final = ("model", "gen_ai_request_model")
_CHANNEL_LABELS: Final = ("channel", "from_channel", "to_channel")


class Metrics:
    """All metrics of one process."""

    def __init__(self, *, version: str, event_loop: str, most_lines: int = MOST_LINES) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._board = Board(most_lines, _openmetrics(self._registry).count(b"\n"))
        self._registry.register(self._board)
        self._build = version, platform.python_version(), event_loop
        self._info = self._board.numbers(catalogue.BUILD)
        self._reload_successful = self._board.numbers(catalogue.RELOAD_SUCCESSFUL).at()
        self._reload_time = self._board.numbers(catalogue.RELOAD_TIME).at()
        self._lag = self._board.histograms(catalogue.LOOP_LAG).at()
        self.observer = PrometheusObserver(self._board)

    def configured(self, models: Iterable[str], channels: Iterable[str], digest: str, at: float) -> None:
        """A configuration has come into use, at the start or by a reload. `at`: seconds since 1970.

        Series of models and channels that are no longer configured are forgotten.
        """
        self.observer.configured(models, channels)
        self._info.keep({"settings": frozenset({digest})})
        self._info.at(*self._build, digest).value = 1
        self._reload_successful.value = 1
        self._reload_time.value = at

    def configuration_refused(self) -> None:
        """A reload failed; the old configuration serves on."""
        self._reload_successful.value = 0

    def loop_lag(self, late_s: float) -> None:
        """The event loop was late by this much."""
        self._lag.observe(late_s)

    def scrape(self, accept: str) -> tuple[bytes, str]:
        """Everything, and its content type, for a scraper's Accept header. Takes some 20 ms: call it in a thread of its own."""
        if _wants_openmetrics(accept):
            return _openmetrics(self._registry), openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


def _openmetrics(registry: CollectorRegistry) -> bytes:
    return openmetrics.generate_latest(registry)  # type: ignore[no-any-return,no-untyped-call]


def _wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics is asked for at all. Not left to prometheus_client, which echoes the version that it is asked for."""
    return any(_OPENMETRICS.match(media) and not _UNWANTED.search(media) for media in accept.lower().split(","))


class PrometheusObserver:
    """Implements relay.ports.Observer. Made by Metrics."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._models: frozenset[str] = frozenset()
        self._providers: dict[str, str] = {}
        self._channels: frozenset[str] = frozenset()
        self._duration = board.histograms(catalogue.REQUEST_DURATION)
        self._first_token = board.histograms(catalogue.TIME_TO_FIRST_TOKEN)
        self._per_token = board.histograms(catalogue.TIME_PER_OUTPUT_TOKEN)
        self._attempt_duration = board.histograms(catalogue.ATTEMPT_DURATION)
        self._first_chunk = board.histograms(catalogue.TIME_TO_FIRST_CHUNK)
        self._usage = board.histograms(catalogue.TOKEN_USAGE)
        self._requests = board.numbers(catalogue.REQUESTS)
        self._tokens = board.numbers(catalogue.MODEL_TOKENS)
        self._overhead = board.histograms(catalogue.OVERHEAD_TIME)
        self._attempts = board.numbers(catalogue.ATTEMPTS)
        self._failovers = board.numbers(catalogue.FAILOVERS)
        self._disconnects = board.numbers(catalogue.DISCONNECTS)
        self._auth_failures = board.numbers(catalogue.AUTH_FAILURES)
        self._inflight = board.numbers(catalogue.INFLIGHT).at()
        self._streams = board.numbers(catalogue.OPEN_STREAMS).at()
        self._phases = [self._overhead.at(phase) for phase in ("auth", "route", "finish")]
        # A counter that appears with its first event hides that event from rate(): the small ones are there from the start.
        for phase in _PHASES:
            self._disconnects.at(phase)
        for code in sorted(AUTH_FAILURES):
            self._auth_failures.at(code)

    def configured(self, models: Iterable[str], channels: Iterable[str]) -> None:
        """Label values are taken from these from now on."""
        self._models, self._channels = frozenset(models), frozenset(channels)
        self._providers.clear()
        self._board.keep(
            {
                **dict.fromkeys(_MODEL_LABELS, self._models | {OTHER, ""}),
                **dict.fromkeys(_CHANNEL_LABELS, self._channels | {OTHER, ""}),
            }
        )
        for channel in sorted(self._channels):
            self._attempts.at(channel, OK)

    def began(self, endpoint: Endpoint) -> None:
        """An exchange has begun."""
        del endpoint
        self._inflight.value += 1

    def stream_opened(self) -> None:
        """The relay writes an answer itself from now on."""
        self._streams.value += 1

    def stream_closed(self) -> None:
        """It has let go of the caller's socket."""
        self._streams.value -= 1

    def refused(self, endpoint: Endpoint | None, status: int, code: str) -> None:
        """Count a request that never became an exchange."""
        self._count(endpoint.path if endpoint else OTHER, OTHER, status, code)

    def ended(self, report: ExchangeReport) -> None:
        """Count an exchange that is over."""
        self._inflight.value -= 1
        operation, model = report.endpoint.operation.value, self._model(report.model)
        code = report.code or (GONE if report.gone_phase else OK)
        self._count(report.endpoint.path, model, report.status, code)
        if report.gone_phase:
            self._disconnects.at(report.gone_phase if report.gone_phase in _PHASES else OTHER).value += 1
        self._time(report, operation, model, kind_of(code))
        for phase, taken_s in zip(self._phases, (report.auth_s, report.route_s, report.finish_s), strict=True):
            if taken_s is not None:
                phase.observe(taken_s)
        self._count_tokens(report, operation, model)
        before: Attempt | None = None
        for attempt in report.attempts:
            self._count_attempt(attempt, before, operation, stream=report.stream)
            before = attempt

    def _count(self, route: str, model: str, status: int, code: str) -> None:
        reason = known_code(code)
        self._requests.at(route, model, _STATUSES.get(status, _NO_STATUS), reason).value += 1
        if reason in AUTH_FAILURES:
            self._auth_failures.at(reason).value += 1

    def _time(self, report: ExchangeReport, operation: str, model: str, failure: str) -> None:
        self._duration.at(operation, "" if failure else model, failure).observe(report.duration_s, report.request_id)
        if report.first_token_s is None:
            return
        self._first_token.at(operation, model).observe(report.first_token_s, report.request_id)
        if not failure and report.usage is not None and report.usage.completion > 1:
            taken_s = (report.duration_s - report.first_token_s) / (report.usage.completion - 1)
            self._per_token.at(operation, model).observe(taken_s)

    def _count_tokens(self, report: ExchangeReport, operation: str, model: str) -> None:
        usage = report.usage
        if usage is None:
            return
        provider = self._provider(report.attempts[-1].candidate.channel) if report.attempts else OTHER
        self._usage.at(operation, model, provider, "input").observe(usage.prompt)
        self._usage.at(operation, model, provider, "output").observe(usage.completion)
        self._tokens.at(model, "input", "upstream").value += usage.prompt
        self._tokens.at(model, "output", "upstream").value += usage.completion
        if usage.cached:
            self._tokens.at(model, "cached_input", "upstream").value += usage.cached
        if usage.reasoning:
            self._tokens.at(model, "reasoning", "upstream").value += usage.reasoning

    def _count_attempt(self, attempt: Attempt, before: Attempt | None, operation: str, *, stream: bool) -> None:
        channel, failure = self._channel(attempt.candidate.channel), kind_of(attempt.result)
        provider = self._provider(attempt.candidate.channel)
        self._attempts.at(channel, known_code(attempt.result)).value += 1
        if failure:
            self._attempt_duration.at(operation, "", provider, "", failure).observe(attempt.duration_s)
        else:
            model = self._model(attempt.model)
            self._attempt_duration.at(operation, model, provider, channel, "").observe(attempt.duration_s)
            if stream and attempt.head_s is not None:
                self._first_chunk.at(operation, provider, channel).observe(attempt.head_s)
        if before is not None and before.candidate.channel.name != attempt.candidate.channel.name:
            self._failovers.at(self._channel(before.candidate.channel), channel, known_code(before.result)).value += 1

    def _model(self, name: str) -> str:
        return name if name in self._models else OTHER

    def _channel(self, channel: Channel) -> str:
        return channel.name if channel.name in self._channels else OTHER

    def _provider(self, channel: Channel) -> str:
        if channel.name not in self._channels:
            return OTHER
        found = self._providers.get(channel.name)
        if found is None:
            found = self._providers[channel.name] = provider_name(channel)
        return found
