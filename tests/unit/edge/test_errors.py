"""What nginx says itself: one table, OpenAI's shape, codes that don't change, and a word on whether to repeat."""

import json

import pytest

from relay.domain import errors as faults
from relay.edge.conf import plain
from relay.edge.errors import CLEARTEXT, DENIALS, REFUSALS, Refusal, answer, denial_maps, error_locations, error_object, error_pages
from relay.edge.scope import rows, words
from tests.unit.edge.edges import OPEN, TLS, policy

ALL = (*REFUSALS, CLEARTEXT)


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: refusal.uri)
def test_each_body_is_an_openai_error_object_with_the_request_id(refusal: Refusal) -> None:
    error = json.loads(plain(error_object(refusal)))["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert error["param"] is None
    assert error["request_id"] == "$request_id"
    assert error["message"]
    assert "nginx" not in str(error).lower()


def test_codes_are_stable() -> None:
    codes = {refusal.uri.rpartition("/")[2]: refusal.code for refusal in ALL}
    assert codes == {
        "400": "malformed_http",
        "497": "https_required",
        "403": "",
        "408": "request_timeout",
        "413": "request_too_large",
        "414": "uri_too_long",
        "421": "misdirected_request",
        "426": "upgrade_not_supported",
        "429": "rate_limit_exceeded",
        "431": "headers_too_large",
        "500": "internal_error",
        "502": "relay_unavailable",
        "503": "overloaded",
        "504": "relay_timeout",
        "cleartext": "https_required",
    }
    assert {reason: code for reason, (code, _) in DENIALS.items()} == {
        "method": "method_not_allowed_here",
        "path": "unknown_path",
        "version": "http_version_not_supported",
        "upgrade": "upgrade_not_supported",
        "transfer": "transfer_encoding_not_supported",
        "origin": "origin_not_allowed",
    }


def test_the_same_fault_has_the_same_code_at_the_relay() -> None:
    assert DENIALS["method"][0] == faults.MethodNotAllowed.code
    assert DENIALS["path"][0] == faults.UnknownPath.code
    assert {refusal.status: refusal.code for refusal in REFUSALS}[413] == faults.RequestTooLarge.code


def test_a_repetition_that_would_pay_twice_or_never_help_is_advised_against() -> None:
    assert {refusal.status for refusal in ALL if refusal.should_retry is False} == {400, 403, 413, 414, 421, 426, 431, 504}
    assert {refusal.status for refusal in ALL if refusal.retry_after_s} == {429, 502, 503}


def test_no_status_is_caught_twice_and_every_one_that_nginx_makes_is_caught() -> None:
    caught = [status for refusal in REFUSALS for status in refusal.catches]
    assert len(set(caught)) == len(caught)
    assert {400, 403, 404, 405, 408, 411, 412, 413, 414, 416, 429, 494, 497, 500, 501, 502, 503, 504, 505} <= set(caught)


def test_each_page_has_its_location() -> None:
    for edge in ({}, OPEN, {"tls": TLS}):
        made = policy(**edge)
        for only_early in (False, True):
            pages = [words(page)[-1] for page in error_pages(made, only_early=only_early)]
            assert pages == [words(location)[-1] for location in error_locations(made, only_early=only_early)]


def test_pages_of_what_is_not_offered_are_left_out() -> None:
    pages = {words(page)[-1] for page in error_pages(policy())}
    assert not pages & {"/__edge_e/426", "/__edge_e/421", "/__edge_e/497"}
    assert {words(page)[-1] for page in error_pages(policy(**OPEN, tls=TLS))} - pages == {"/__edge_e/426", "/__edge_e/421", "/__edge_e/497"}


def test_a_server_that_forwards_nothing_has_no_pages_for_what_only_a_relay_can_cause() -> None:
    assert not {words(page)[-1] for page in error_pages(policy(), only_early=True)} & {
        f"/__edge_e/{status}" for status in (413, 429, 502, 503, 504)
    }


def test_a_426_names_what_it_would_take() -> None:
    headers = {
        words(line)[0]: words(line)[1]
        for line in answer(policy(), next(refusal for refusal in REFUSALS if refusal.status == 426))
        if line.name == "add_header"
    }
    assert (headers["Upgrade"], headers["Connection"]) == ("HTTP/1.1", "upgrade")


def test_the_reason_of_a_403_becomes_its_code_and_words() -> None:
    codes, messages = (rows(denial_maps(), result) for result in ("edge_denial_code", "edge_denial_message"))
    assert codes == {"default": "forbidden_by_edge", **{reason: code for reason, (code, _) in DENIALS.items()}}
    assert messages.keys() == codes.keys()
    assert all(json.loads(f'"{message}"') for message in messages.values())
