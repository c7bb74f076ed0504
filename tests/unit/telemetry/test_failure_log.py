"""A failed try is told once, with what an operator asks, and without a secret."""

import logging

import pytest

from relay.ports import Attempt, ExchangeReport
from relay.telemetry.failure_log import FailureLog
from tests.unit.telemetry import traffic


class Hearing:
    """An observer that only remembers what has ended."""

    def __init__(self) -> None:
        self.heard: list[ExchangeReport] = []

    def began(self, *_: object) -> None:
        return None

    def stream_opened(self) -> None:
        return None

    def stream_closed(self) -> None:
        return None

    def refused(self, *_: object) -> None:
        return None

    def ended(self, report: ExchangeReport) -> None:
        self.heard.append(report)


def report_of(*results: str) -> ExchangeReport:
    return traffic.report(*(traffic.attempt(traffic.channel("up"), result) for result in results))


def test_each_failed_try_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        FailureLog(Hearing()).ended(report_of("upstream_closed", "upstream_idle_timeout", "ok"))
    assert [(record.message, record.__dict__["code"]) for record in caplog.records] == [
        ("channel failed", "upstream_closed"),
        ("channel failed", "upstream_idle_timeout"),
    ]


@pytest.mark.parametrize("result", ["ok", "cancelled", "request_refused_by_upstream"])
def test_what_went_well_or_was_the_callers_doing_is_not_told(caplog: pytest.LogCaptureFixture, result: str) -> None:
    FailureLog(Hearing()).ended(report_of(result))
    assert not caplog.records


def test_the_line_names_the_credential_and_not_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    FailureLog(Hearing()).ended(report_of("upstream_credential_refused"))
    (record,) = caplog.records
    assert record.__dict__["credential"]
    assert traffic.SECRET not in str(record.__dict__)


def test_the_inner_observer_hears_everything() -> None:
    inner = Hearing()
    report = report_of("ok")
    FailureLog(inner).ended(report)
    assert inner.heard == [report]


def test_an_attempt_needs_no_detail() -> None:
    assert Attempt.__dataclass_fields__["detail"].default == ""
