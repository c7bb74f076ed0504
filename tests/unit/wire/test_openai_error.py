"""Every error has the four fields that the official clients read, and a refusal is found wherever a vendor puts it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.errors import InvalidBody, NoChannel, UpstreamClosed, UpstreamVerdict
from relay.wire.openai_error import LONGEST_MESSAGE, Refusal, error_body, error_event, error_object, read_refusal, verdict_body


def verdict(body: bytes = b'{"error":{"message":"too long","type":"x","param":null,"code":"y"}}') -> UpstreamVerdict:
    return UpstreamVerdict("too long", upstream_status=400, body=body)


def test_a_fault_becomes_the_four_fields_and_nothing_else() -> None:
    fault = InvalidBody("`n` must be a whole number.", param="n")
    expected = {
        "error": {"message": "`n` must be a whole number.", "type": "invalid_request_error", "param": "n", "code": "invalid_request_body"}
    }
    assert error_object(fault) == expected
    assert json.loads(error_body(fault)) == expected


@given(st.text(max_size=50))
def test_any_message_can_be_written(message: str) -> None:
    assert json.loads(error_body(NoChannel(message)))["error"]["message"] == message


def test_in_a_stream_it_is_one_event_on_one_line() -> None:
    event = error_event(UpstreamClosed("broke\noff\r\n\r\n"))
    assert event.startswith(b'data: {"error":{')
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2
    assert b"\r" not in event
    assert b"[DONE]" not in event
    assert json.loads(event[6:])["error"]["code"] == "upstream_closed"


def test_a_verdict_is_the_upstreams_own_object_in_a_stream_too() -> None:
    assert error_body(verdict()) == verdict().body
    assert error_event(verdict()) == b"data: " + verdict().body + b"\n\n"


OPENAI = '{"error":{"message":"This model\'s maximum context length is 8192 tokens.","type":"invalid_request_error",'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            OPENAI + '"param":"messages","code":"context_length_exceeded"}}',
            Refusal("This model's maximum context length is 8192 tokens.", "invalid_request_error", "context_length_exceeded", "messages"),
            id="OpenAI",
        ),
        pytest.param('{"error":{"message":"no","type":null,"param":null,"code":null}}', Refusal("no", None, None, None), id="nulls"),
        pytest.param('{"error":{"code":400,"message":"no","status":"INVALID"}}', Refusal("no", None, "400", None), id="a number as code"),
        pytest.param('[{"error":{"code":400,"message":"no"}}]', Refusal("no", None, "400", None), id="Gemini's list"),
        pytest.param('{"error":"no"}', Refusal("no", None, None, None), id="Ollama"),
        pytest.param('{"object":"error","message":"no","type":"Bad","param":null,"code":40}', Refusal("no", "Bad", "40", None), id="vLLM"),
        pytest.param('{"code":20012,"message":"no","data":null}', Refusal("no", None, "20012", None), id="SiliconFlow"),
        pytest.param('{"detail":"no"}', Refusal("no", None, None, None), id="FastAPI"),
        pytest.param('{"msg":"no","code":"x"}', Refusal("no", None, "x", None), id="msg"),
        pytest.param('{"err":"no"}', Refusal("no", None, None, None), id="err"),
        pytest.param('{"error_msg":"no","error_code":3}', Refusal("no", None, None, None), id="Baidu"),
        pytest.param('{"error":{"message":"no","type":["x"],"code":{"y":1}}}', Refusal("no", None, None, None), id="objects for texts"),
    ],
)
def test_a_refusal_is_found_where_the_vendor_puts_it(body: str, expected: Refusal) -> None:
    assert read_refusal(body.encode()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no",
        b"<html>no</html>",
        b"{}",
        b"[]",
        b"[1]",
        b"null",
        b'"no"',
        b'{"error":{}}',
        b'{"error":null}',
        b'{"error":{"message":""}}',
        b'{"error":{"message":5}}',
        b'{"detail":[{"msg":"no"}]}',
        b'{"message":"\xff"}',
    ],
)
def test_what_says_nothing_is_no_refusal(body: bytes) -> None:
    assert read_refusal(body) is None


def test_a_long_refusal_is_cut() -> None:
    refusal = read_refusal(
        json.dumps({"error": {"message": "é" * 10**6, "type": "t" * 10**6, "code": 10**400, "param": "p" * 10**6}}).encode()
    )
    assert refusal is None  # a number beyond a double is no JSON for us
    refusal = read_refusal(json.dumps({"error": {"message": "é" * 10**6, "type": "t" * 10**6, "param": "p" * 10**6}}).encode())
    assert refusal is not None
    assert (len(refusal.message), len(refusal.type or ""), len(refusal.param or "")) == (LONGEST_MESSAGE, 200, 200)


def test_a_refusal_is_written_in_openais_form() -> None:
    assert json.loads(verdict_body(Refusal("no", None, None, None))) == {
        "error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}
    }
    assert json.loads(verdict_body(Refusal("no", "t", "c", "p")))["error"] == {"message": "no", "type": "t", "param": "p", "code": "c"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
BODIES = st.dictionaries(
    st.sampled_from(["error", "message", "msg", "code", "type", "detail"]),
    JSON | st.dictionaries(st.sampled_from(["message", "code", "type"]), JSON),
)


@given(st.one_of(st.binary(max_size=60), BODIES.map(lambda body: json.dumps(body).encode())))
def test_any_refusal_becomes_an_object_with_a_message(body: bytes) -> None:
    refusal = read_refusal(body)
    if refusal is not None:
        error = json.loads(verdict_body(refusal))["error"]
        assert sorted(error) == ["code", "message", "param", "type"]
        assert error["message"]
        assert all(value is None or isinstance(value, str) for value in error.values())


@pytest.mark.parametrize("text", ["Incorrect key: sk-ab/cd+ef.", r"sk-ab\/cd+ef", "sk-ab/cd+ef" * 300])
def test_a_refusal_that_repeats_the_credential_loses_it_however_it_was_escaped(text: str) -> None:
    body = b'{"error":{"message":"' + text.encode() + b'","code":"sk-ab/cd+ef"}}'
    refusal = read_refusal(body, "sk-ab/cd+ef")
    assert refusal is not None
    assert "sk-ab/cd+ef" not in refusal.message
    assert refusal.code == "***"
