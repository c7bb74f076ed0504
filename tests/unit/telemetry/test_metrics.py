"""What an exchange leaves behind in a scrape, and that a scrape stays small and clean whatever happens."""

from collections.abc import Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parse_text

from relay.domain.usage import Usage
from relay.telemetry.catalogue import CATALOGUE, FROM_THE_LIBRARY, Kind
from relay.telemetry.metrics import Metrics
from tests.unit.telemetry.traffic import (
    CHAT,
    EMBEDDINGS,
    OPENMETRICS,
    SECRET,
    attempt,
    busy,
    channel,
    families,
    play,
    read,
    report,
    samples,
)

A, B = channel("a"), channel("b")


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(version="1.2.3", event_loop="uvloop")
    made.configured(["model-0", "model-1"], ["a", "b"], "abc", 1000.0)
    return made


# --- one exchange


def test_a_good_stream_is_timed_and_counted(metrics: Metrics) -> None:
    play(metrics, report(attempt(A), usage=Usage(100, 31)))
    assert read(metrics, "relay_requests_total", route="/v1/chat/completions", model="model-0", code="200", reason="ok") == 1
    labels = {"gen_ai_operation_name": "chat", "gen_ai_request_model": "model-0"}
    assert read(metrics, "gen_ai_server_request_duration_seconds_sum", **labels, error_type="") == 2.0
    assert read(metrics, "gen_ai_server_time_to_first_token_seconds_sum", **labels) == 0.5
    assert read(metrics, "gen_ai_server_time_per_output_token_seconds_sum", **labels) == 0.05
    labels["gen_ai_provider_name"] = "openai"
    assert read(metrics, "gen_ai_client_operation_duration_seconds_sum", **labels, channel="a", error_type="") == 1.5
    assert read(metrics, "gen_ai_client_operation_time_to_first_chunk_seconds_sum", channel="a", gen_ai_operation_name="chat") == 0.2
    assert read(metrics, "gen_ai_client_token_usage_sum", **labels, gen_ai_token_type="input") == 100
    assert read(metrics, "gen_ai_client_token_usage_sum", **labels, gen_ai_token_type="output") == 31


def test_tokens_are_added_up_by_type(metrics: Metrics) -> None:
    play(metrics, report(attempt(A), usage=Usage(100, 31, cached=60, reasoning=7)), report(attempt(A), usage=Usage(1, 2)))
    counted = {
        kind: read(metrics, "relay_tokens_total", model="model-0", type=kind, source="upstream")
        for kind in ("input", "output", "cached_input", "reasoning")
    }
    assert counted == {"input": 101, "output": 33, "cached_input": 60, "reasoning": 7}


def test_an_answer_in_one_piece_has_no_first_token_and_no_first_chunk(metrics: Metrics) -> None:
    play(metrics, report(attempt(A), stream=False, usage=Usage(100, 31)))
    assert read(metrics, "gen_ai_server_time_to_first_token_seconds_count") is None
    assert read(metrics, "gen_ai_server_time_per_output_token_seconds_count") is None
    assert read(metrics, "gen_ai_client_operation_time_to_first_chunk_seconds_count") is None


def test_one_output_token_has_no_time_between_tokens(metrics: Metrics) -> None:
    play(metrics, report(attempt(A), usage=Usage(100, 1)))
    assert read(metrics, "gen_ai_server_time_per_output_token_seconds_count") is None


def test_phases_of_the_relay_itself_are_told_apart(metrics: Metrics) -> None:
    play(metrics, report(attempt(A)))
    taken = {phase: read(metrics, "relay_overhead_seconds_sum", phase=phase) for phase in ("auth", "route", "finish")}
    assert taken == {"auth": 0.0002, "route": 0.0004, "finish": 0.001}


def test_a_failover_is_counted_with_its_reason(metrics: Metrics) -> None:
    play(metrics, report(attempt(A, "upstream_refused"), attempt(B)))
    assert read(metrics, "relay_channel_failovers_total", from_channel="a", to_channel="b", reason="upstream_refused") == 1
    assert read(metrics, "relay_upstream_attempts_total", channel="a", result="upstream_refused") == 1
    assert read(metrics, "relay_upstream_attempts_total", channel="b", result="ok") == 1


def test_another_credential_of_the_same_channel_is_an_attempt_but_no_failover(metrics: Metrics) -> None:
    play(metrics, report(attempt(A, "upstream_rate_limited"), attempt(A)))
    assert read(metrics, "relay_channel_failovers_total") is None
    assert read(metrics, "relay_upstream_attempts_total", channel="a") == 2


def test_a_failure_is_timed_by_kind_and_counted_by_model_and_reason(metrics: Metrics) -> None:
    play(metrics, report(attempt(A, "upstream_idle_timeout"), status=504, code="upstream_idle_timeout"))
    assert read(metrics, "gen_ai_server_request_duration_seconds_count", error_type="upstream_error", gen_ai_request_model="") == 1
    assert (
        read(metrics, "gen_ai_client_operation_duration_seconds_count", error_type="upstream_error", channel="", gen_ai_request_model="")
        == 1
    )
    assert read(metrics, "gen_ai_server_request_duration_seconds_count", gen_ai_request_model="model-0") is None
    assert read(metrics, "relay_requests_total", model="model-0", code="504", reason="upstream_idle_timeout") == 1


def test_a_caller_who_leaves_is_counted_as_499_in_the_phase_in_which_he_left(metrics: Metrics) -> None:
    early, late = report(status=0, code="client_closed"), report(attempt(A, "cancelled"), status=0)
    early.gone_phase, late.gone_phase = "head", "stream"
    play(metrics, early, late)
    assert read(metrics, "relay_client_disconnects_total", phase="head") == 1
    assert read(metrics, "relay_client_disconnects_total", phase="stream") == 1
    assert read(metrics, "relay_requests_total", code="499", reason="client_closed") == 2
    assert read(metrics, "gen_ai_server_request_duration_seconds_count", error_type="client_gone") == 2


@pytest.mark.parametrize("code", ["missing_api_key", "invalid_api_key", "expired_api_key", "address_not_allowed", "ambiguous_credentials"])
def test_a_bad_key_is_an_auth_failure_whether_or_not_an_exchange_began(metrics: Metrics, code: str) -> None:
    play(metrics, report(model="", status=401, code=code))
    metrics.observer.refused(CHAT, 401, code)
    assert read(metrics, "relay_auth_failures_total", reason=code) == 2
    assert read(metrics, "relay_requests_total", model="other", reason=code) == 2


def test_a_request_for_no_endpoint_has_no_route(metrics: Metrics) -> None:
    metrics.observer.refused(None, 404, "unknown_path")
    assert read(metrics, "relay_requests_total", route="other", model="other", code="404", reason="unknown_path") == 1


def test_gauges_rise_and_fall(metrics: Metrics) -> None:
    observer = metrics.observer
    observer.began(CHAT)
    observer.began(EMBEDDINGS)
    observer.stream_opened()
    assert (read(metrics, "relay_inflight_requests"), read(metrics, "relay_open_streams")) == (2, 1)
    observer.stream_closed()
    observer.ended(report())
    assert (read(metrics, "relay_inflight_requests"), read(metrics, "relay_open_streams")) == (1, 0)


# --- labels


def test_a_model_that_is_not_configured_is_other(metrics: Metrics) -> None:
    play(metrics, report(attempt(A, model="made-up"), model="made-up", usage=Usage(1, 1)))
    assert read(metrics, "relay_requests_total", model="other") == 1
    assert b"made-up" not in metrics.scrape("")[0]


def test_a_channel_that_is_no_longer_configured_is_other(metrics: Metrics) -> None:
    play(metrics, report(attempt(channel("gone", "strange-type")), usage=Usage(1, 1)))
    assert read(metrics, "relay_upstream_attempts_total", channel="other") == 1
    assert b"gone" not in metrics.scrape("")[0].replace(b"client_gone", b"")
    assert b"strange-type" not in metrics.scrape("")[0]


def test_no_key_secret_or_caller_is_told(metrics: Metrics) -> None:
    play(metrics, report(attempt(A)))
    for accept in ("", OPENMETRICS):
        text = metrics.scrape(accept)[0].decode()
        assert SECRET not in text
        assert "somebody" not in text


def test_a_new_configuration_forgets_what_is_gone_and_keeps_the_rest(metrics: Metrics) -> None:
    play(metrics, report(attempt(A)), report(attempt(B, model="model-1"), model="model-1"))
    metrics.configured(["model-1", "model-2"], ["b"], "def", 2000.0)
    assert read(metrics, "relay_requests_total", model="model-0") is None
    assert read(metrics, "relay_requests_total", model="model-1") == 1
    assert read(metrics, "relay_upstream_attempts_total", channel="a") is None
    play(metrics, report(attempt(B, model="model-2"), model="model-2"))
    assert read(metrics, "relay_requests_total", model="model-2") == 1


def test_a_channel_may_become_another_providers(metrics: Metrics) -> None:
    play(metrics, report(attempt(A)))
    metrics.configured(["model-0"], ["a"], "def", 2000.0)
    play(metrics, report(attempt(channel("a", host="api.groq.com"))))
    assert read(metrics, "gen_ai_client_operation_duration_seconds_count", gen_ai_provider_name="groq") == 1


def test_small_counters_are_there_before_their_first_event(metrics: Metrics) -> None:
    assert read(metrics, "relay_upstream_attempts_total", channel="b", result="ok") == 0
    assert read(metrics, "relay_client_disconnects_total", phase="stream") == 0
    assert read(metrics, "relay_auth_failures_total", reason="invalid_api_key") == 0


# --- the process


def test_the_build_and_the_settings_in_use_are_told_once(metrics: Metrics) -> None:
    metrics.configured(["model-0"], ["a"], "def", 2000.0)
    (build,) = [sample.labels for sample in samples(metrics) if sample.name == "relay_build_info"]
    assert (build["version"], build["event_loop"], build["settings"]) == ("1.2.3", "uvloop", "def")
    assert build["python"].startswith("3.")


def test_a_refused_reload_shows_and_the_time_stays_that_of_the_last_good_one(metrics: Metrics) -> None:
    assert read(metrics, "relay_config_last_reload_successful") == 1
    metrics.configuration_refused()
    assert read(metrics, "relay_config_last_reload_successful") == 0
    assert read(metrics, "relay_config_last_reload_success_timestamp_seconds") == 1000


def test_the_loops_lag_is_a_histogram(metrics: Metrics) -> None:
    metrics.loop_lag(0.02)
    assert read(metrics, "relay_event_loop_lag_seconds_bucket", le="0.01") == 0
    assert read(metrics, "relay_event_loop_lag_seconds_bucket", le="0.025") == 1


# --- the scrape


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("text/plain;version=1.0.0;escaping=values", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", True),
        ("text/plain, Application/OpenMetrics-Text; version=0.0.1", True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text; q=0.00, */*", False),
        ("application/openmetrics-text;q=0.05", True),
        ("application/openmetrics-textual", False),
        ('application/openmetrics-text;version="x\r\nSet-Cookie: a"', True),
    ],
)
def test_the_format_is_what_the_scraper_asks_for(metrics: Metrics, accept: str, *, openmetrics: bool) -> None:
    body, content_type = metrics.scrape(accept)
    if openmetrics:
        assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert body.endswith(b"# EOF\n")
    else:
        assert content_type == "text/plain; version=0.0.4; charset=utf-8"
        assert b"# EOF" not in body


def test_both_formats_tell_the_same() -> None:
    metrics = busy()

    def told(found: Iterator[Metric]) -> dict[str, float]:
        return {
            f"{sample.name} {sorted(sample.labels.items())}": sample.value
            for family in found
            for sample in family.samples
            if not sample.name.startswith(("process_", "python_gc_"))
        }

    text = told(iter(parse_text(metrics.scrape("")[0].decode())))
    assert text == told(iter(families(metrics)))


def test_a_scrape_has_what_the_catalogue_says_and_nothing_else() -> None:
    rows = {row.name: row for row in CATALOGUE}
    kinds = {row.name.removesuffix("_total").removesuffix("_info"): row.kind for row in CATALOGUE}
    told = {family.name: Kind(family.type) for family in families(busy()) if not family.name.startswith(("process_", "python_gc_"))}
    assert told == kinds
    for sample in samples(busy()):
        name = sample.name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        if name in rows:
            assert set(sample.labels) - {"le"} == set(rows[name].labels)
        else:
            assert name in FROM_THE_LIBRARY


def test_no_line_tells_when_a_series_was_made() -> None:
    assert b"_created" not in busy().scrape(OPENMETRICS)[0]


def test_request_ids_stand_beside_the_buckets_of_two_histograms_and_only_in_openmetrics() -> None:
    metrics = busy()
    with_example = {sample.name for sample in samples(metrics) if sample.exemplar}
    assert with_example == {"gen_ai_server_request_duration_seconds_bucket", "gen_ai_server_time_to_first_token_seconds_bucket"}
    assert b"request_id" not in metrics.scrape("")[0]
