"""How a request is addressed to an OpenAI-compatible upstream, and how its refusals read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from relay import __version__
from relay.domain.channel import Credential
from relay.domain.endpoints import Endpoint
from relay.domain.errors import UpstreamAuth, UpstreamRateLimited, UpstreamRefused, UpstreamVerdict, is_retryable
from relay.domain.failover import CALLERS_FAULT
from relay.providers.openai import OpenAI, retry_after
from relay.wire.http_head import Framing, Head
from tests.support.builders import CHAT, COMPLETIONS, EMBEDDINGS, candidate, channel
from tests.support.settings import settings

OPENAI = OpenAI()


def head(status: int, **headers: str) -> Head:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Head(status, named, Framing.LENGTH, 1, keep_alive=True, size=1)


def test_the_head_of_a_request_is_ours_alone() -> None:
    assert OPENAI.request_head(candidate(secret="sk-upstream"), CHAT).decode() == (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        "Host: upstream.example\r\n"
        "Content-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\n"
        "Accept-Encoding: identity\r\n"
        f"User-Agent: postgate/{__version__}\r\n"
        "Authorization: Bearer sk-upstream\r\n"
    )


def test_without_a_credential_there_is_no_authorization() -> None:
    assert b"authorization" not in OPENAI.request_head(candidate(secret=None), CHAT).lower()


@pytest.mark.parametrize(
    ("path", "endpoint", "line"),
    [
        ("", CHAT, b"POST /chat/completions HTTP/1.1"),
        ("/v1", COMPLETIONS, b"POST /v1/completions HTTP/1.1"),
        ("/api/v3", EMBEDDINGS, b"POST /api/v3/embeddings HTTP/1.1"),
    ],
)
def test_the_path_is_the_base_urls_and_the_endpoints(path: str, endpoint: Endpoint, line: bytes) -> None:
    assert OPENAI.request_head(candidate(channel(path=path)), endpoint).startswith(line + b"\r\n")


# --- nothing can be slipped in: a credential is refused as a value, a base URL by the settings


@pytest.mark.parametrize("secret", ["sk-1\r\nX-Evil: 1", "sk-1\nX-Evil: 1", "sk-1\r", "sk-1\x00", "sk 1", "sk-é"])
def test_a_credential_that_would_be_another_header_never_comes_so_far(secret: str) -> None:
    with pytest.raises(ValueError, match="the credential"):
        candidate(secret=secret)


@pytest.mark.parametrize(
    "base_url", ["https://a.example/v1\r\nX-Evil: 1", "https://a.example\r\n/v1", "https://a.example/v1 HTTP/1.1", "https://a.example/é"]
)
def test_a_base_url_that_would_be_another_header_is_no_setting(base_url: str) -> None:
    with pytest.raises(ValidationError):
        settings(channels=({"base_url": base_url},))


@given(st.text(max_size=20))
def test_whatever_the_credential_the_head_has_the_same_lines(secret: str) -> None:
    try:
        Credential("main#1", secret)
    except ValueError:
        return
    lines = OPENAI.request_head(candidate(secret=secret), CHAT).split(b"\r\n")
    assert len(lines) == 8
    assert lines[6:] == [f"Authorization: Bearer {secret}".encode("ascii"), b""]


# --- refusals


@pytest.mark.parametrize("status", sorted(CALLERS_FAULT))
def test_what_the_caller_can_mend_is_passed_on_with_its_text(status: int) -> None:
    body = {"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}
    fault = OPENAI.explain(head(status), json.dumps(body).encode())
    assert isinstance(fault, UpstreamVerdict)
    assert (fault.answer_status, fault.message, json.loads(fault.body)) == (status, "too long", body)
    assert not is_retryable(fault)


@pytest.mark.parametrize("body", [b"", b"<html>nginx/1.0 at 10.0.0.1</html>", b"Bad Request", b"{}"])
def test_a_refusal_that_says_nothing_readable_is_told_in_our_words(body: bytes) -> None:
    fault = OPENAI.explain(head(400), body)
    assert isinstance(fault, UpstreamVerdict)
    assert json.loads(fault.body) == {
        "error": {"message": "The upstream refused the request.", "type": "invalid_request_error", "param": None, "code": None}
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, UpstreamAuth),
        (402, UpstreamAuth),
        (403, UpstreamAuth),
        (429, UpstreamRateLimited),
        (500, UpstreamRefused),
        (302, UpstreamRefused),
    ],
)
def test_of_a_fault_of_the_channel_not_a_word_is_passed_on(status: int, kind: type[Exception]) -> None:
    fault = OPENAI.explain(head(status, retry_after="3"), b'{"error":{"message":"Incorrect API key provided: sk-up***cdef"}}')
    assert type(fault) is kind
    assert "sk-up" not in fault.message


def test_a_limit_says_how_long_to_wait() -> None:
    assert OPENAI.explain(head(429, retry_after="3"), b"").retry_after_s == 3
    assert OPENAI.explain(head(429), b"").retry_after_s is None


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "86401"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "1, 2"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
)
def test_a_wait_is_read_if_it_can_be_meant(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after(headers) == wait_s
