"""The contract of every fault, as callers and their SDKs see it. A change here is a change for them."""

from collections import Counter

import pytest

from relay.domain import errors
from relay.domain.errors import Fault, UpstreamError, UpstreamVerdict, is_retryable

GOLDEN = """
Fault                    500 server_error          -                            -
ClientError              400 invalid_request_error -                            no
InvalidBody              400 invalid_request_error invalid_request_body         no
MissingField             400 invalid_request_error missing_required_parameter   no
BadCredentials           400 invalid_request_error ambiguous_credentials        no
MissingKey               401 invalid_request_error missing_api_key              no
InvalidKey               401 invalid_request_error invalid_api_key              no
ExpiredKey               401 invalid_request_error expired_api_key              no
AddressNotAllowed        403 permission_error      address_not_allowed          no
ModelNotAllowed          403 permission_error      model_not_allowed            no
ModelNotFound            404 invalid_request_error model_not_found              no
UnknownPath              404 invalid_request_error unknown_path                 no
MethodNotAllowed         405 invalid_request_error method_not_allowed_here      no
RequestTimeout           408 invalid_request_error request_timeout              no
RequestTooLarge          413 invalid_request_error request_too_large            no
UnsupportedMediaType     415 invalid_request_error unsupported_media_type       no
HttpVersion              505 invalid_request_error http_version_not_supported   no
MalformedHttp            400 invalid_request_error malformed_http               no
UpstreamError            502 upstream_error        upstream_error               -
UpstreamUnreachable      502 upstream_error        upstream_unreachable         -
UpstreamConnectTimeout   504 upstream_error        upstream_connect_timeout     -
UpstreamFirstByteTimeout 504 upstream_error        upstream_first_byte_timeout  no
UpstreamIdleTimeout      504 upstream_error        upstream_idle_timeout        no
TotalTimeout             504 upstream_error        total_timeout                no
UpstreamProtocol         502 upstream_error        upstream_protocol_error      -
UpstreamClosed           502 upstream_error        upstream_closed              -
UpstreamRefused          502 upstream_error        upstream_refused             -
UpstreamAuth             502 upstream_error        upstream_credential_refused  -
UpstreamRateLimited      429 rate_limit_error      upstream_rate_limited        -
UpstreamVerdict          502 invalid_request_error request_refused_by_upstream  -
ServiceError             503 server_error          -                            -
NoChannel                503 server_error          no_channel_available         -
Draining                 503 server_error          shutting_down                -
Overloaded               503 server_error          overloaded                   -
Internal                 500 server_error          internal_error               -
"""
"""Class, status, type, code, X-Should-Retry."""

FAULTS = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Fault)]


def make(kind: type[Fault]) -> Fault:
    return UpstreamVerdict("no", upstream_status=422, body=b"{}") if kind is UpstreamVerdict else kind("no")


def test_every_fault_has_the_status_type_and_code_that_callers_rely_on() -> None:
    retries = {None: "-", True: "yes", False: "no"}
    found = [f"{kind.__name__} {kind.status} {kind.type} {kind.code or '-'} {retries[kind.should_retry]}" for kind in FAULTS]
    assert found == [" ".join(line.split()) for line in GOLDEN.strip().splitlines()]


def test_a_code_belongs_to_one_fault() -> None:
    codes = Counter(kind.code for kind in FAULTS if kind.code is not None)
    assert [code for code, times in codes.items() if times > 1] == []


def test_only_the_three_sides_that_may_be_to_blame_have_no_code_of_their_own() -> None:
    assert {kind.__name__ for kind in FAULTS if kind.code is None} == {"Fault", "ClientError", "ServiceError"}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_status_says_whose_fault_it_is(kind: type[Fault]) -> None:
    if issubclass(kind, errors.ClientError):
        assert 400 <= kind.status < 500 or kind is errors.HttpVersion
    elif kind is not errors.UpstreamRateLimited:
        assert kind.status >= 500


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_says_its_message_and_its_status(kind: type[Fault]) -> None:
    fault = make(kind)
    assert (str(fault), fault.message, fault.param, fault.retry_after_s) == ("no", "no", None, None)
    assert fault.answer_status == (422 if kind is UpstreamVerdict else kind.status)


def test_what_is_known_beside_the_message_is_kept() -> None:
    assert errors.InvalidBody("no", param="n").param == "n"
    assert errors.Draining("no", retry_after_s=1).retry_after_s == 1
    limited = errors.UpstreamRateLimited("no", upstream_status=429, retry_after_s=7)
    assert (limited.upstream_status, limited.retry_after_s) == (429, 7)


@pytest.mark.parametrize("kind", FAULTS)
def test_another_channel_is_tried_for_the_upstreams_faults_but_never_after_a_verdict_or_the_end_of_time(kind: type[Fault]) -> None:
    final = {UpstreamVerdict, errors.TotalTimeout}
    assert is_retryable(make(kind)) is (issubclass(kind, UpstreamError) and kind not in final)
