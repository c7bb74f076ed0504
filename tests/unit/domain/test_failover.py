"""What an upstream's refusal means, and what the caller is told when nobody could answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.errors import (
    ClientError,
    NoChannel,
    UpstreamAuth,
    UpstreamClosed,
    UpstreamConnectTimeout,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    is_retryable,
)
from relay.domain.failover import CALLERS_FAULT, blame, verdict


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (201, UpstreamRefused),
        (204, UpstreamRefused),
        (301, UpstreamRefused),
        (307, UpstreamRefused),
        (401, UpstreamAuth),
        (402, UpstreamAuth),
        (403, UpstreamAuth),
        (407, UpstreamRefused),
        (408, UpstreamRefused),
        (429, UpstreamRateLimited),
        (500, UpstreamRefused),
        (503, UpstreamRefused),
        (529, UpstreamRefused),
        (999, UpstreamRefused),
    ],
)
def test_a_status_is_blamed_on_the_channel(status: int, kind: type[UpstreamError]) -> None:
    fault = blame(status, 7.0)
    assert type(fault) is kind
    assert fault.upstream_status == status
    assert is_retryable(fault)


def test_a_redirect_is_not_followed_and_said_to_be_one() -> None:
    assert "redirect" in blame(302, None).message


@pytest.mark.parametrize("status", [429, 500, 503])
def test_how_long_to_wait_is_passed_on(status: int) -> None:
    assert blame(status, 7.0).retry_after_s == 7.0
    assert blame(status, None).retry_after_s is None


def test_no_status_is_blamed_on_both_sides() -> None:
    assert CALLERS_FAULT.isdisjoint({401, 402, 403, 407, 408, 429})
    assert all(400 <= status < 500 for status in CALLERS_FAULT)


LIMITED, LATER = UpstreamRateLimited("slow", retry_after_s=9), UpstreamRateLimited("slow", retry_after_s=4)
UNKNOWN = UpstreamRateLimited("slow")
REFUSED, CLOSED, TIMEOUT, AUTH = UpstreamRefused("500"), UpstreamClosed("cut"), UpstreamConnectTimeout("slow"), UpstreamAuth("401")


@pytest.mark.parametrize(
    ("faults", "status", "code", "retry_after_s"),
    [
        ([], 503, "no_channel_available", 5),
        ([LIMITED], 429, "upstream_rate_limited", 9),
        ([LIMITED, LATER], 429, "upstream_rate_limited", 4),
        ([LIMITED, UNKNOWN], 429, "upstream_rate_limited", 9),
        ([UNKNOWN], 429, "upstream_rate_limited", 5),
        ([LIMITED, REFUSED], 502, "upstream_refused", None),
        ([REFUSED, LIMITED], 502, "upstream_refused", None),
        ([REFUSED, CLOSED], 502, "upstream_closed", None),
        ([CLOSED, TIMEOUT], 504, "upstream_connect_timeout", None),
        ([AUTH], 503, "no_channel_available", 30),
        ([AUTH, LIMITED], 503, "no_channel_available", 30),
        ([REFUSED, AUTH], 503, "no_channel_available", 30),
        ([AUTH, REFUSED], 502, "upstream_refused", None),
    ],
)
def test_the_caller_is_told_of_the_last_fault_and_of_limits_only_if_all_were(
    faults: list[UpstreamError], status: int, code: str, retry_after_s: float | None
) -> None:
    told = verdict(faults, "m")
    assert (told.status, told.code, told.retry_after_s) == (status, code, retry_after_s)


@given(st.lists(st.sampled_from([LIMITED, LATER, UNKNOWN, REFUSED, CLOSED, TIMEOUT, AUTH]), max_size=6))
def test_the_channels_credential_is_never_the_callers_problem(faults: list[UpstreamError]) -> None:
    told = verdict(faults, "m")
    assert not isinstance(told, UpstreamAuth | ClientError)
    assert told.status in {429, 502, 503, 504}
    assert isinstance(told, UpstreamRateLimited) is (bool(faults) and all(isinstance(fault, UpstreamRateLimited) for fault in faults))
    if isinstance(told, NoChannel):
        assert told.retry_after_s
