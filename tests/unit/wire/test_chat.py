"""What the relay judged is what the upstream gets, and a bad body is refused with the reason, at once."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.endpoints import ENDPOINTS, Endpoint
from relay.domain.errors import ClientError, InvalidBody, MissingField
from relay.wire.chat import LONGEST_MODEL, read, write
from tests.support.builders import CHAT, COMPLETIONS, EMBEDDINGS, MODEL, chat_request

MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]


def body(**fields: object) -> bytes:
    return json.dumps({"model": MODEL, "messages": MESSAGES, **fields}).encode()


def around(value: bytes) -> bytes:
    """A good body with one field of which only the JSON is known."""
    return b'{"model":"gpt-small","messages":[{"role":"user","content":"Hi"}],"x":' + value + b"}"


def refusal(raw: bytes, endpoint: Endpoint = CHAT) -> ClientError:
    with pytest.raises(ClientError) as refused:
        read(raw, endpoint)
    return refused.value


def test_a_good_body_is_read() -> None:
    assert read(body(stream=True), CHAT) == chat_request(stream=True)
    assert read(body(stream=False), CHAT) == chat_request()
    assert read(body(stream=None), CHAT).stream is False
    assert read(b'{"model":"gpt-small","prompt":"Hi"}', COMPLETIONS).model == MODEL
    assert read(b'{"model":"gpt-small","input":["a","b"]}', EMBEDDINGS).model == MODEL


def test_what_does_not_stream_is_not_read_as_a_stream() -> None:
    assert read(b'{"model":"gpt-small","input":"a","stream":true}', EMBEDDINGS).stream is False


NOT_JSON = [
    pytest.param(b"hello", id="text"),
    pytest.param(b"{", id="cut"),
    pytest.param(b'{"model":"gpt-small"', id="cut later"),
    pytest.param(body() + b"x", id="something behind it"),
    pytest.param(body() + body(), id="two documents"),
    pytest.param(b"   ", id="blank"),
    pytest.param(b"\x00", id="NUL"),
    pytest.param(b"\x00" + body(), id="NUL first"),
    pytest.param(body() + b"\x00", id="NUL last"),
    pytest.param(around(b'"\x00"'), id="NUL in a string"),
    pytest.param(around(b'"\x01"'), id="control character"),
    pytest.param(around(b'"\xff"'), id="not UTF-8"),
    pytest.param(around(b'"\xc0\x80"'), id="overlong UTF-8"),
    pytest.param(around(b'"\xed\xa0\x80"'), id="surrogate in UTF-8"),
    pytest.param(around(b'"\\ud800"'), id="lone high surrogate"),
    pytest.param(around(b'"\\udc00"'), id="lone low surrogate"),
    pytest.param(around(b'"\\ud800\\u0041"'), id="high surrogate and a letter"),
    pytest.param(around(b'"\\udc00\\ud800"'), id="surrogates the wrong way round"),
    pytest.param(b"\xef\xbb\xbf" + body(), id="byte order mark"),
    pytest.param(body().decode().encode("utf-16"), id="UTF-16"),
    pytest.param(around(b"NaN"), id="NaN"),
    pytest.param(around(b"Infinity"), id="Infinity"),
    pytest.param(around(b"-Infinity"), id="-Infinity"),
    pytest.param(around(b"1e400"), id="more than a double holds"),
    pytest.param(around(b"1" + b"0" * 400), id="a whole number of 401 digits"),
    pytest.param(around(b"01"), id="leading zero"),
    pytest.param(around(b"1."), id="no digit after the point"),
    pytest.param(around(b"[1,]"), id="trailing comma"),
    pytest.param(around(b"'a'"), id="single quotes"),
    pytest.param(b"{model:1}", id="name without quotes"),
    pytest.param(b'{"model":"gpt-small",/**/"messages":[]}', id="comment"),
    pytest.param(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", id="gzip"),
    pytest.param(b"model=gpt-small&messages=Hi", id="a form"),
    pytest.param(around(b"[" * 90_000), id="90,000 open brackets"),
    pytest.param(around(b"[" * 90_000 + b"]" * 90_000), id="90,000 brackets"),
    pytest.param(around(b'{"a":' * 90_000 + b"1" + b"}" * 90_000), id="90,000 braces"),
    pytest.param(b"[" * 100_000, id="nothing but brackets"),
]


@pytest.mark.parametrize("raw", NOT_JSON)
def test_what_is_not_json_is_refused_with_the_place_and_without_delay(raw: bytes) -> None:
    began = time.process_time()
    fault = refusal(raw)
    assert time.process_time() - began < 0.05
    assert type(fault) is InvalidBody
    assert fault.status == 400
    assert "not valid JSON" in fault.message
    assert "line 1, column" in fault.message
    assert len(fault.message) < 200


def test_the_complaint_repeats_nothing_of_the_body() -> None:
    assert "sk-secret" not in refusal(around(b"sk-secret")).message


@pytest.mark.parametrize("raw", [b"null", b"1", b'"text"', b"[]", b"true", b'[{"model":"gpt-small"}]'])
def test_json_that_is_no_object_is_refused(raw: bytes) -> None:
    fault = refusal(raw)
    assert (type(fault), fault.message) == (InvalidBody, "The request body must be a JSON object.")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_empty_body_is_refused_with_what_to_send(endpoint: Endpoint) -> None:
    assert f"`{endpoint.needs}`" in refusal(b"", endpoint).message


@pytest.mark.parametrize(
    ("raw", "kind", "param"),
    [
        (b"{}", MissingField, "model"),
        (b'{"messages":[{}]}', MissingField, "model"),
        (body(model=None), MissingField, "model"),
        (body(model=1), InvalidBody, "model"),
        (body(model=["gpt-small"]), InvalidBody, "model"),
        (body(model={}), InvalidBody, "model"),
        (body(model=True), InvalidBody, "model"),
        (body(model=""), InvalidBody, "model"),
        (body(model="m" * (LONGEST_MODEL + 1)), InvalidBody, "model"),
        (body(model="m" * (1 << 20)), InvalidBody, "model"),
        (body(messages=None), MissingField, "messages"),
        (b'{"model":"gpt-small"}', MissingField, "messages"),
        (b'{"model":"gpt-small","prompt":"Hi"}', MissingField, "messages"),
        (body(messages=[]), InvalidBody, "messages"),
        (body(messages="Hi"), InvalidBody, "messages"),
        (body(messages={}), InvalidBody, "messages"),
        (body(messages=["Hi"]), InvalidBody, "messages"),
        (body(messages=[{}, None]), InvalidBody, "messages"),
        (body(stream="true"), InvalidBody, "stream"),
        (body(stream=1), InvalidBody, "stream"),
        (body(stream=[]), InvalidBody, "stream"),
        (body(max_tokens=-1), InvalidBody, "max_tokens"),
        (body(max_tokens=1 << 31), InvalidBody, "max_tokens"),
        (body(max_tokens="10"), InvalidBody, "max_tokens"),
        (body(max_tokens=1.5), InvalidBody, "max_tokens"),
        (body(max_tokens=True), InvalidBody, "max_tokens"),
        (body(max_completion_tokens=-1), InvalidBody, "max_completion_tokens"),
        (body(n=-1), InvalidBody, "n"),
        (body(n=1 << 40), InvalidBody, "n"),
        (body(n=[1]), InvalidBody, "n"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(raw: bytes, kind: type[ClientError], param: str) -> None:
    fault = refusal(raw)
    assert (type(fault), fault.status, fault.param) == (kind, 400, param)
    assert f"`{param}`" in fault.message
    assert len(fault.message) < 200


@pytest.mark.parametrize(
    ("raw", "endpoint", "kind"),
    [
        (b'{"model":"gpt-small"}', COMPLETIONS, MissingField),
        (b'{"model":"gpt-small","prompt":1}', COMPLETIONS, InvalidBody),
        (b'{"model":"gpt-small","prompt":{}}', COMPLETIONS, InvalidBody),
        (b'{"model":"gpt-small"}', EMBEDDINGS, MissingField),
        (b'{"model":"gpt-small","input":null}', EMBEDDINGS, MissingField),
        (b'{"model":"gpt-small","input":true}', EMBEDDINGS, InvalidBody),
    ],
)
def test_each_endpoint_wants_its_own_field(raw: bytes, endpoint: Endpoint, kind: type[ClientError]) -> None:
    fault = refusal(raw, endpoint)
    assert (type(fault), fault.param) == (kind, endpoint.needs)


def test_a_responses_request_is_told_what_it_is() -> None:
    assert "Responses API" in refusal(b'{"model":"gpt-small","input":"Hi"}').message


@pytest.mark.parametrize("count", [0, 1, (1 << 31) - 1, None])
def test_counts_that_can_be_meant_pass(count: int | None) -> None:
    read(body(max_tokens=count, max_completion_tokens=count, n=count), CHAT)


def test_a_model_name_may_have_the_most_characters() -> None:
    name = "é" * LONGEST_MODEL
    assert read(body(model=name), CHAT).model == name


# --- what is written is what was read


def test_of_duplicate_keys_the_upstream_gets_the_one_that_was_judged() -> None:
    raw = b'{"model":"dear","model":"gpt-small","messages":[],"messages":[{"role":"user"}],"stream":1,"stream":true,"n":-5,"n":1}'
    request = read(raw, CHAT)
    assert (request.model, request.stream) == ("gpt-small", True)
    sent = write(request, "gpt-small")
    assert sent == b'{"model":"gpt-small","messages":[{"role":"user"}],"stream":true,"n":1}'
    assert json.loads(sent, object_pairs_hook=list) == [
        ("model", "gpt-small"),
        ("messages", [[("role", "user")]]),
        ("stream", True),
        ("n", 1),
    ]


def test_duplicate_keys_deep_inside_are_one_too() -> None:
    sent = write(read(b'{"model":"gpt-small","messages":[{"role":"system","role":"user","content":"a","content":"b"}]}', CHAT), MODEL)
    assert sent == b'{"model":"gpt-small","messages":[{"role":"user","content":"b"}]}'


def test_a_key_that_is_a_duplicate_only_after_unescaping_is_one_too() -> None:
    sent = write(read(b'{"model":"dear","mod\\u0065l":"gpt-small","messages":[{}]}', CHAT), MODEL)
    assert sent == b'{"model":"gpt-small","messages":[{}]}'


def test_unknown_fields_survive_in_their_order() -> None:
    extra = {"top_k": 40, "x_vendor": {"deep": [1, None, {"é": "\u0000"}]}, "": "", "metadata": {}}
    raw = json.dumps({"zeta": 1, "model": MODEL, "messages": MESSAGES, **extra}).encode()
    assert json.loads(write(read(raw, CHAT), MODEL), object_pairs_hook=list) == json.loads(raw, object_pairs_hook=list)


def test_the_model_is_mapped_in_its_place_and_nothing_else_is() -> None:
    request = read(body(user="gpt-small"), CHAT)
    before = dict(request.body)
    assert json.loads(write(request, "vendor/big")) == {"model": "vendor/big", "messages": MESSAGES, "user": "gpt-small"}
    assert next(iter(json.loads(write(request, "vendor/big")))) == "model"
    assert request.body == before
    assert json.loads(write(request, MODEL))["model"] == MODEL


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
GIVEN = st.dictionaries(st.text(max_size=8), JSON, max_size=6)


@given(extra=GIVEN, model=st.text(min_size=1, max_size=20), as_utf8=st.booleans())
def test_what_is_written_parses_to_what_was_read_but_for_the_model(extra: dict[str, Any], model: str, *, as_utf8: bool) -> None:
    whole = {**extra, "model": MODEL, "messages": MESSAGES, "stream": True, "n": 1, "max_tokens": 5, "max_completion_tokens": None}
    raw = json.dumps(whole, ensure_ascii=not as_utf8).encode()
    request = read(raw, CHAT)
    assert json.loads(write(request, MODEL)) == whole
    assert json.loads(write(request, model)) == {**whole, "model": model}
    assert list(json.loads(write(request, model))) == list(whole)


@given(st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode()), GIVEN.map(lambda fields: body(**fields))))
def test_any_body_is_read_or_refused(raw: bytes) -> None:
    for endpoint in ENDPOINTS:
        try:
            request = read(raw, endpoint)
        except (InvalidBody, MissingField):
            continue
        assert json.loads(write(request, request.model)) == json.loads(raw)


# --- what could be read but not written unchanged


@pytest.mark.parametrize("number", [1 << 64, -(1 << 63) - 1, 10**19 * 3, 10**40, -(10**30), 123456789012345678901234567890])
@pytest.mark.parametrize(
    "where",
    ["%d", "[%d]", '{"a":%d}', '[1,"a",%d,2]', '["\\\\",%d]', '["\\"",%d]', '["\\\\\\"",%d]', " \t[ %d ]", '["12345678901234567890",%d]'],
)
def test_a_whole_number_beyond_64_bits_is_refused_and_not_rounded(number: int, where: str) -> None:
    fault = refusal(around((where % number).encode()))
    assert (type(fault), fault.status) == (InvalidBody, 400)
    assert "64 bits" in fault.message


@pytest.mark.parametrize(
    "value",
    [
        b"18446744073709551615",
        b"-9223372036854775808",
        b"[9223372036854775807,-1]",
        b'"18446744073709551616"',
        b'"a\\"18446744073709551616"',
        b'"\\\\","y":"99999999999999999999"',
        b'["a\\\\\\"99999999999999999999,", 1]',
        b'{"99999999999999999999":1}',
        b'"' + b"1234567890" * 1000 + b'"',
        b"0.12345678901234567890123",
        b"12345678901234567890123.5",
        b"1e00000000000000000000001",
        b"1e+00000000000000000000001",
        b"1E-00000000000000000000001",
        b"99999999999999999999e1",
        b"99999999999999999999E-1",
        b"-99999999999999999999.0",
    ],
)
def test_what_fits_or_is_no_whole_number_passes(value: bytes) -> None:
    sent = write(read(around(value), CHAT), MODEL)
    assert json.loads(sent) == json.loads(around(value))


@given(
    st.lists(
        st.one_of(st.integers(-(1 << 66), 1 << 66), st.text('\\"019', max_size=30), st.floats(allow_nan=False, allow_infinity=False)),
        max_size=8,
    )
)
def test_whole_numbers_are_kept_exactly_or_refused(values: list[object]) -> None:
    raw = around(json.dumps(values).encode())
    fits = all(-(1 << 63) <= value < 1 << 64 for value in values if isinstance(value, int))
    if fits:
        assert json.loads(write(read(raw, CHAT), MODEL))["x"] == values
    else:
        assert "64 bits" in refusal(raw).message


def test_looking_for_such_numbers_is_not_dear() -> None:
    raw = around(b"[" + b'"0123456789012345678901234567890",' * 100_000 + b"1]")
    began = time.process_time()
    read(raw, CHAT)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("levels", [253, 254, 300, 1000, 1020])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_refused_when_it_is_read_and_never_when_it_is_written(levels: int, opening: bytes, closing: bytes) -> None:
    raw = around(opening * levels + b"1" + closing * levels)
    if levels > 253:  # and the body itself
        assert "nested" in refusal(raw).message
    else:
        assert json.loads(write(read(raw, CHAT), "other"))["x"] == json.loads(raw)["x"]


def test_a_body_with_many_brackets_side_by_side_passes() -> None:
    raw = around(b"[" + b"[],{}," * 1000 + b"1]")
    assert json.loads(write(read(raw, CHAT), MODEL)) == json.loads(raw)


@pytest.mark.parametrize(
    "inner",
    [b"{}," * 200_000 + b"{}", b"0," * 600_000 + b"0", b"[" * 200_000, b"18446744073709551615," * 20_000 + b"1"],
    ids=["objects", "numbers", "brackets", "long numbers"],
)
def test_a_body_that_would_take_long_to_read_is_refused_at_once_since_it_would_hold_up_everybody_else(inner: bytes) -> None:
    began = time.process_time()
    fault = refusal(around(inner))
    assert time.process_time() - began < 0.1
    assert type(fault) is InvalidBody


def test_a_long_prompt_full_of_long_numbers_is_read() -> None:
    text = "12345678901234567890 " * 100_000
    assert read(around(json.dumps(text).encode()), CHAT).body
