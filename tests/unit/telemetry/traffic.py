"""Builders of exchanges, readers of scrapes, and the traffic that the line budget is made for."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.samples import Sample

from relay.domain.channel import Candidate, Channel, Credential, Origin
from relay.domain.endpoints import ENDPOINTS, Endpoint
from relay.domain.usage import Usage
from relay.ports import Attempt, ExchangeReport, Observer
from relay.telemetry.metrics import Metrics

CHAT, COMPLETIONS, EMBEDDINGS = ENDPOINTS
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
SECRET = "sk-upstream-0123456789abcdef"


def channel(name: str, provider: str = "openai", host: str = "upstream.example") -> Channel:
    return Channel(name, provider, Origin(tls=True, host=host, port=443), host, "/v1", {}, 0, 60.0, 60.0)


def attempt(of: Channel, result: str = "ok", *, model: str = "model-0", head_s: float | None = 0.2, duration_s: float = 1.5) -> Attempt:
    return Attempt(Candidate(of, Credential("key 1", SECRET)), model, result, head_s, duration_s)


def report(
    *attempts: Attempt,
    endpoint: Endpoint = CHAT,
    model: str = "model-0",
    status: int = 200,
    code: str = "",
    usage: Usage | None = None,
    stream: bool = True,
) -> ExchangeReport:
    """A stream whose first token came after 0.5 s and whose end after 2 s."""
    return ExchangeReport(
        request_id="0123456789abcdef0123456789abcdef",
        endpoint=endpoint,
        key="somebody",
        model=model,
        stream=stream,
        status=status,
        code=code,
        attempts=list(attempts),
        usage=usage,
        first_token_s=0.5 if stream and attempts else None,
        duration_s=2.0,
        auth_s=0.0002,
        route_s=0.0004,
        finish_s=0.001,
    )


def play(metrics: Metrics, *reports: ExchangeReport) -> None:
    observer: Observer = metrics.observer
    for each in reports:
        observer.began(each.endpoint)
        observer.ended(each)


MODELS = [f"model-{number}" for number in range(20)]
CHANNELS = [channel(f"channel-{number}") for number in range(12)]
PAIRS = [(model, CHANNELS[(2 * at + spare) % 12]) for at, model in enumerate(MODELS) for spare in (0, 1)]


def full_house() -> Iterator[ExchangeReport]:
    """20 models, 12 channels, 40 pairs of them: each pair serves, and each model fails in each of the usual ways."""
    used = Usage(1200, 300, cached=1000, reasoning=100)
    for model, of in PAIRS:
        yield report(attempt(of, model=model), model=model, usage=used)
    for at, model in enumerate(MODELS):
        first, second = (of for _, of in PAIRS[2 * at : 2 * at + 2])
        yield report(attempt(first, "upstream_refused", model=model), attempt(second, model=model), model=model, usage=used)
        for status, code in (
            (504, "upstream_idle_timeout"),
            (429, "upstream_rate_limited"),
            (0, "client_closed"),
            (502, "upstream_closed"),
        ):
            yield report(attempt(first, code, model=model), model=model, status=status, code=code, usage=used)
    for status, code in ((401, "invalid_api_key"), (401, "missing_api_key"), (404, "model_not_found"), (400, "invalid_request_body")):
        for endpoint in ENDPOINTS:
            yield report(endpoint=endpoint, model="", status=status, code=code)


def busy(most_lines: int | None = None) -> Metrics:
    """Metrics after all that."""
    metrics = (
        Metrics(version="0", event_loop="asyncio")
        if most_lines is None
        else Metrics(version="0", event_loop="asyncio", most_lines=most_lines)
    )
    metrics.configured(MODELS, [of.name for of in CHANNELS], "digest", 0.0)
    play(metrics, *full_house())
    return metrics


# --- scrapes


def families(metrics: Metrics) -> list[Metric]:
    return list(parse_openmetrics(metrics.scrape(OPENMETRICS)[0].decode()))  # type: ignore[no-untyped-call]


def samples(metrics: Metrics) -> Iterator[Sample]:
    for family in families(metrics):
        yield from family.samples


def read(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The sum over the series of a name with these labels; None if there is none."""
    found = [sample.value for sample in samples(metrics) if sample.name == name and labels.items() <= sample.labels.items()]
    return sum(found) if found else None
