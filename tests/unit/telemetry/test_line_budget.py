"""A scrape stays within its lines and its words, and can be read, whatever is reported."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.endpoints import ENDPOINTS
from relay.domain.usage import Usage
from relay.ports import ExchangeReport
from relay.telemetry.catalogue import CATALOGUE, MOST_LINES, Kind
from relay.telemetry.metrics import Metrics
from relay.telemetry.vocabulary import CODES
from tests.unit.telemetry.traffic import OPENMETRICS, attempt, busy, channel, full_house, play, read, samples


def test_twenty_models_twelve_channels_and_forty_pairs_fit_with_every_detail() -> None:
    metrics = busy()
    body = metrics.scrape(OPENMETRICS)[0]
    assert len(body.splitlines()) <= MOST_LINES
    pairs = {
        (sample.labels["gen_ai_request_model"], sample.labels["channel"])
        for sample in samples(metrics)
        if sample.name == "gen_ai_client_operation_duration_seconds_count" and not sample.labels["error_type"]
    }
    assert len(pairs) == 40
    assert b'"other",gen_ai_request_model="other"' not in body


def test_what_passes_the_budget_is_still_counted() -> None:
    generous, tight = busy(100_000), busy(600)
    assert len(tight.scrape(OPENMETRICS)[0].splitlines()) <= 600
    assert len(generous.scrape(OPENMETRICS)[0].splitlines()) > 600
    for row in CATALOGUE:
        if row.kind is Kind.HISTOGRAM:
            assert read(tight, f"{row.name}_count") == read(generous, f"{row.name}_count")
        elif row.kind is Kind.COUNTER:
            assert read(tight, row.name) == read(generous, row.name)


texts = st.one_of(st.text(max_size=20), st.sampled_from(["model-0", "model-1", "other", "", "ok", *sorted(CODES)]))
seconds = st.floats(0, 1e5)
attempts = st.builds(
    lambda name, result, model, head_s, duration_s: attempt(channel(name), result, model=model, head_s=head_s, duration_s=duration_s),
    st.one_of(texts, st.sampled_from("ab")),
    texts,
    texts,
    st.none() | seconds,
    seconds,
)
reports = st.builds(
    ExchangeReport,
    request_id=st.text(max_size=150),
    endpoint=st.sampled_from(ENDPOINTS),
    key=texts,
    model=texts,
    stream=st.booleans(),
    status=st.integers(-1, 1000),
    code=texts,
    attempts=st.lists(attempts, max_size=3),
    usage=st.none() | st.builds(Usage, st.integers(0, 10**9), st.integers(0, 10**9), cached=st.integers(0, 9), reasoning=st.integers(0, 9)),
    first_token_s=st.none() | seconds,
    duration_s=seconds,
    gone_phase=texts,
)


@given(st.lists(reports, max_size=10))
def test_whatever_is_reported_a_scrape_parses_and_its_labels_are_of_closed_sets(told: list[ExchangeReport]) -> None:
    metrics = Metrics(version="1", event_loop="asyncio", most_lines=500)
    metrics.configured(["model-0", "model-1"], ["a", "b"], "abc", 0.0)
    play(metrics, *told)
    assert metrics.scrape(OPENMETRICS)[0].count(b"\n") <= 500
    allowed = {
        "model": {"model-0", "model-1", "other"},
        "gen_ai_request_model": {"model-0", "model-1", "other", ""},
        "channel": {"a", "b", "other", ""},
        "from_channel": {"a", "b", "other"},
        "to_channel": {"a", "b", "other"},
        "gen_ai_provider_name": {"openai", "other"},
        "route": {endpoint.path for endpoint in ENDPOINTS} | {"other"},
        "reason": CODES | {"ok", "other"},
        "result": CODES | {"ok", "other"},
        "error_type": {"", "client_error", "client_gone", "upstream_error", "server_error", "other"},
        "code": {str(status) for status in range(100, 600)} | {"other"},
        "phase": {"auth", "route", "finish", "head", "stream", "other"},
    }
    for sample in samples(metrics):
        for label in allowed.keys() & sample.labels.keys():
            assert sample.labels[label] in allowed[label]
    assert (read(metrics, "relay_requests_total") or 0) == len(told)


def test_a_scrape_in_another_thread_never_trips_over_counting() -> None:
    metrics = Metrics(version="1", event_loop="asyncio")
    stop = threading.Event()
    scrapes: list[int] = []
    failures: list[BaseException] = []

    def scrape_on() -> None:
        try:
            while not stop.is_set():
                scrapes.append(metrics.scrape(OPENMETRICS)[0].count(b"\n"))
        except BaseException as failure:  # noqa: BLE001 - carried over to the test's own thread
            failures.append(failure)

    thread = threading.Thread(target=scrape_on)
    thread.start()
    turn = 0
    while len(scrapes) < 10 and thread.is_alive():
        turn += 1
        metrics.configured(
            [f"model-{number}" for number in range(turn % 2, 20)], [f"channel-{number}" for number in range(12)], str(turn), 0.0
        )
        play(metrics, *full_house())
    stop.set()
    thread.join()
    assert failures == []
    assert max(scrapes) <= MOST_LINES
