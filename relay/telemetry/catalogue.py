"""Every metric as one row: name, type, labels, buckets, meaning. Nothing is exported that has no row here.

The rows make three things: the families (series.py), docs/metrics.md (`reference`) and the tests. The `gen_ai_*` rows follow the
OpenTelemetry GenAI convention, which is still in development: should it rename them, this file is all that changes.

What keeps a scrape small, whatever the traffic does: a label takes its values from configured or built-in sets only, never from what a
caller sends; there is no label for a key, a user, an address or a path that a caller chose; no `_created` lines; and where a failure is
measured, it is told by its kind and not by model and channel as well (their failures are counted, one line each).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_LINES: Final = 3000
"""Longest scrape, in lines. Rendering that many takes about 20 ms of one core, during which the event loop competes for the GIL."""

OTHER: Final = "other"
"""Stands for every value that is not in a label's set, and for what did not fit into MOST_LINES."""


class Kind(StrEnum):
    """Metric types, by the names that Prometheus gives them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Row:
    """One metric family."""

    name: str  # as in a query, `_total` and `_info` included
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def lines(self) -> int:
        """Lines of one set of label values: for a histogram its buckets, +Inf, _count and _sum."""
        return len(self.buckets) + 3 if self.kind is Kind.HISTOGRAM else 1


# --- buckets (upper bounds)

DURATION: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36)
DURATION_PER_CHANNEL: Final = DURATION[::2]
FIRST_TOKEN: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
PER_TOKEN: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
TOKENS: Final = (16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
OVERHEAD: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
LAG: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

# --- labels

LABELS: Final[dict[str, str]] = {
    "channel": "Name of a configured channel.",
    "code": "HTTP status that the caller saw; `499` if the caller left before the end.",
    "error_type": "Whose fault it was: `client_error`, `client_gone`, `upstream_error`, `server_error`, or empty for a good end. "
    "Where it is not empty, the labels for model and channel are: failures by model and reason are in `relay_requests_total`, by channel "
    "and result in `relay_upstream_attempts_total`.",
    "event_loop": "`uvloop` or `asyncio`.",
    "from_channel": "Channel that failed.",
    "gen_ai_operation_name": "`chat`, `text_completion` or `embeddings`.",
    "gen_ai_provider_name": "Provider of the channel, by the convention's name where it has one (`openai`, `azure.ai.openai`, …).",
    "gen_ai_request_model": "Public model name from the configuration.",
    "gen_ai_token_type": "`input` or `output`.",
    "model": "Public model name from the configuration.",
    "phase": "Part of an exchange.",
    "python": "Version of Python.",
    "reason": "`ok`, or the `code` of the error object that the caller saw (`client_closed` and `client_send_timeout` if it saw none).",
    "result": "`ok`, `cancelled` (the caller left), or the fault's code.",
    "route": "Path of an endpoint that the relay serves.",
    "settings": "Digest of the configuration in use; the edge's files carry the same one.",
    "source": "Who counted: `upstream`.",
    "to_channel": "Channel that was tried next.",
    "type": "`input`, `output`, and of these `cached_input` and `reasoning`.",
    "version": "Version of Postgate.",
}

# --- exchanges, by the names of the GenAI convention

_SERVER: Final = ("gen_ai_operation_name", "gen_ai_request_model")

REQUEST_DURATION: Final = Row(
    "gen_ai_server_request_duration_seconds",
    Kind.HISTOGRAM,
    "From taking a request to its last byte.",
    (*_SERVER, "error_type"),
    DURATION,
)
TIME_TO_FIRST_TOKEN: Final = Row(
    "gen_ai_server_time_to_first_token_seconds",
    Kind.HISTOGRAM,
    "Streams: from taking a request to the first piece of content, reasoning or a tool call (not the first byte).",
    _SERVER,
    FIRST_TOKEN,
)
TIME_PER_OUTPUT_TOKEN: Final = Row(
    "gen_ai_server_time_per_output_token_seconds",
    Kind.HISTOGRAM,
    "Streams that ended well: (duration - time to first token) / (output tokens - 1).",
    _SERVER,
    PER_TOKEN,
)
ATTEMPT_DURATION: Final = Row(
    "gen_ai_client_operation_duration_seconds",
    Kind.HISTOGRAM,
    "One try of one channel, from sending to its last byte.",
    (*_SERVER, "gen_ai_provider_name", "channel", "error_type"),
    DURATION_PER_CHANNEL,
)
TIME_TO_FIRST_CHUNK: Final = Row(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    Kind.HISTOGRAM,
    "Streams: from sending to the head of the upstream's answer. By channel and not by model: that is in the time to first token.",
    ("gen_ai_operation_name", "gen_ai_provider_name", "channel"),
    DURATION_PER_CHANNEL,
)
TOKEN_USAGE: Final = Row(
    "gen_ai_client_token_usage",
    Kind.HISTOGRAM,
    "Model tokens of one exchange, as the upstream reported them.",
    (*_SERVER, "gen_ai_provider_name", "gen_ai_token_type"),
    TOKENS,
)

# --- exchanges, by our own names

REQUESTS: Final = Row(
    "relay_requests_total", Kind.COUNTER, "Requests that are over, refused ones included.", ("route", "model", "code", "reason")
)
MODEL_TOKENS: Final = Row(
    "relay_tokens_total",
    Kind.COUNTER,
    "Model tokens. `cached_input` is a part of `input` and `reasoning` of `output`: do not add them up.",
    ("model", "type", "source"),
)
OVERHEAD_TIME: Final = Row(
    "relay_overhead_seconds",
    Kind.HISTOGRAM,
    "Time that the relay itself takes: `auth` (reading and judging key and body), `route` (taking a request to its first try), "
    "`finish` (the upstream's end to the caller's, settlement included).",
    ("phase",),
    OVERHEAD,
)
ATTEMPTS: Final = Row("relay_upstream_attempts_total", Kind.COUNTER, "Tries of a channel.", ("channel", "result"))
FAILOVERS: Final = Row(
    "relay_channel_failovers_total",
    Kind.COUNTER,
    "Times that another channel was tried in one exchange; the reason is the first one's result.",
    ("from_channel", "to_channel", "reason"),
)
INFLIGHT: Final = Row("relay_inflight_requests", Kind.GAUGE, "Exchanges that have begun and are not over.")
OPEN_STREAMS: Final = Row("relay_open_streams", Kind.GAUGE, "Exchanges whose answer the relay writes itself, event by event.")
DISCONNECTS: Final = Row(
    "relay_client_disconnects_total",
    Kind.COUNTER,
    "Callers that left, before the answer's `head` or during its `stream`.",
    ("phase",),
)
AUTH_FAILURES: Final = Row(
    "relay_auth_failures_total", Kind.COUNTER, "Requests whose key was missing, wrong, expired or used from elsewhere.", ("reason",)
)

# --- the process

LOOP_LAG: Final = Row(
    "relay_event_loop_lag_seconds",
    Kind.HISTOGRAM,
    "How late a timer of one second came: what everything else on the event loop is delayed by.",
    (),
    LAG,
)
RELOAD_SUCCESSFUL: Final = Row(
    "relay_config_last_reload_successful", Kind.GAUGE, "1 if the configuration that was read last is in use, 0 if it was refused."
)
RELOAD_TIME: Final = Row("relay_config_last_reload_success_timestamp_seconds", Kind.GAUGE, "When the configuration in use was read.")
BUILD: Final = Row("relay_build_info", Kind.INFO, "What is running. Always 1.", ("version", "python", "event_loop", "settings"))

GROUPS: Final[dict[str, tuple[Row, ...]]] = {
    "Exchanges (OpenTelemetry GenAI convention)": (
        REQUEST_DURATION,
        TIME_TO_FIRST_TOKEN,
        TIME_PER_OUTPUT_TOKEN,
        ATTEMPT_DURATION,
        TIME_TO_FIRST_CHUNK,
        TOKEN_USAGE,
    ),
    "Exchanges": (REQUESTS, MODEL_TOKENS, OVERHEAD_TIME, ATTEMPTS, FAILOVERS, INFLIGHT, OPEN_STREAMS, DISCONNECTS, AUTH_FAILURES),
    "The process": (LOOP_LAG, RELOAD_SUCCESSFUL, RELOAD_TIME, BUILD),
}
CATALOGUE: Final = tuple(row for rows in GROUPS.values() for row in rows)

FROM_THE_LIBRARY: Final[dict[str, str]] = {
    "process_virtual_memory_bytes": "Virtual memory size.",
    "process_resident_memory_bytes": "Resident memory size.",
    "process_start_time_seconds": "When the process started.",
    "process_cpu_seconds_total": "CPU time, user and system.",
    "process_open_fds": "Open file descriptors.",
    "process_max_fds": "Most file descriptors that may be open.",
    "python_gc_objects_collected_total": "Objects collected, by `generation`.",
    "python_gc_objects_uncollectable_total": "Objects that can't be collected, by `generation`.",
    "python_gc_collections_total": "Collections, by `generation`.",
}
"""What prometheus_client's own collectors add."""


def reference() -> str:
    """The text of docs/metrics.md."""
    parts = [_OPENING]
    for title, rows in GROUPS.items():
        parts += [f"## {title}\n", _table(("metric", "type", "labels", "meaning"), (_row_cells(row) for row in rows))]
    parts += [
        "## From the Python client library\n",
        _table(("metric", "meaning"), ((f"`{name}`", said) for name, said in FROM_THE_LIBRARY.items())),
    ]
    parts += ["## Labels\n", _table(("label", "values"), ((f"`{name}`", said) for name, said in LABELS.items()))]
    parts += ["## Buckets\n", _table(("metric", "upper bounds"), ((f"`{row.name}`", _bounds(row)) for row in CATALOGUE if row.buckets))]
    return "\n".join(parts)


_OPENING: Final = f"""\
# Metrics

<!-- Generated from relay/telemetry/catalogue.py: edit that and run `make docs`. -->

`GET /metrics` on the admin listener (`[server] admin`, by default 127.0.0.1:8101; never reachable through the edge), as Prometheus
text or, where the scraper asks for it, as OpenMetrics. In OpenMetrics the buckets of `{REQUEST_DURATION.name}`
and `{TIME_TO_FIRST_TOKEN.name}` carry the request id of an example.

A scrape has at most {MOST_LINES} lines. Labels take their values from the configuration and from fixed sets, everything else is `{OTHER}`.
A set of label values that would pass the limit is counted in the one whose labels are all `{OTHER}`, as OpenTelemetry does with its
overflow attribute: sums stay right. No label names a key, a user, an address or a path that a caller chose.
"""


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in _with_rule(titles, rows))


def _with_rule(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    yield titles
    yield ("---",) * len(titles)
    yield from rows


def _row_cells(row: Row) -> tuple[str, ...]:
    return f"`{row.name}`", row.kind.value, ", ".join(f"`{label}`" for label in row.labels) or "-", row.help


def _bounds(row: Row) -> str:
    return " ".join(f"{bound:g}" if bound < 1000 else str(bound) for bound in row.buckets)  # noqa: PLR2004 - no 1.04858e+06
