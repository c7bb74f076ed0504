"""Codes and providers become words of closed sets."""

import pytest

from relay.domain import errors
from relay.telemetry.vocabulary import AUTH_FAILURES, CODES, kind_of, known_code, provider_name
from tests.unit.telemetry.traffic import channel


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("", ""),
        ("ok", ""),
        ("invalid_request_body", "client_error"),
        ("missing_api_key", "client_error"),
        ("upstream_refused", "upstream_error"),
        ("total_timeout", "upstream_error"),
        ("no_channel_available", "server_error"),
        ("internal_error", "server_error"),
        ("client_closed", "client_gone"),
        ("client_send_timeout", "client_gone"),
        ("cancelled", "client_gone"),
        ("made up by somebody", "other"),
    ],
)
def test_a_code_tells_whose_fault_it_was(code: str, kind: str) -> None:
    assert kind_of(code) == kind


def test_every_fault_of_the_tree_has_a_known_code() -> None:
    leaves = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.Fault) and each is not errors.Fault
    ]
    assert {str(fault.code or fault.type) for fault in leaves} <= CODES


def test_an_unknown_code_is_other() -> None:
    assert known_code("upstream_refused") == "upstream_refused"
    assert known_code("ok") == "ok"
    assert known_code("sk-0123456789abcdef") == "other"


def test_failures_of_authentication_are_codes() -> None:
    assert AUTH_FAILURES < CODES
    assert "model_not_allowed" not in AUTH_FAILURES


@pytest.mark.parametrize(
    ("provider", "host", "name"),
    [
        ("openai", "upstream.example", "openai"),
        ("openai", "API.DeepSeek.com", "deepseek"),
        ("openai", "mine.openai.azure.com", "azure.ai.openai"),
        ("gemini", "upstream.example", "gcp.gemini"),
        ("anthropic", "upstream.example", "anthropic"),
        ("kimi", "upstream.example", "kimi"),
    ],
)
def test_a_provider_has_the_conventions_name_where_there_is_one(provider: str, host: str, name: str) -> None:
    assert provider_name(channel("a", provider, host)) == name
