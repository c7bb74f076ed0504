"""A head is read the same way wherever it is cut, or refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire.http_head import MAX_HEAD_BYTES, Framing, Head, Malformed, parse_head, response_head
from tests.support.cuts import every_cut, reads_of

OK = b"HTTP/1.1 200 OK\r\n"


def head(*fields: bytes, status_line: bytes = OK) -> bytes:
    return status_line + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def read(data: bytes) -> Head:
    found = parse_head(data)
    assert found is not None
    return found


def feed(reads: list[bytes]) -> Head | None:
    """Read as a connection does: everything that has come so far, until there is a head."""
    data = b""
    for each in reads:
        data += each
        found = parse_head(data)
        if found is not None:
            return found
    return None


@pytest.mark.parametrize(
    ("data", "framing", "length", "keep_alive"),
    [
        (head(b"Content-Length: 5"), Framing.LENGTH, 5, True),
        (head(b"content-length:\t5 "), Framing.LENGTH, 5, True),
        (head(b"Content-Length: 0"), Framing.NONE, 0, True),
        (head(b"Transfer-Encoding: chunked"), Framing.CHUNKED, 0, True),
        (head(b"Transfer-Encoding: CHUNKED"), Framing.CHUNKED, 0, True),
        (head(), Framing.CLOSE, 0, False),
        (head(b"Content-Length: 5", b"Connection: close"), Framing.LENGTH, 5, False),
        (head(b"Content-Length: 5", b"Connection: x", b"Connection: y, Close"), Framing.LENGTH, 5, False),
        (head(b"Content-Length: 5", status_line=b"HTTP/1.0 200 OK\r\n"), Framing.LENGTH, 5, False),
        (head(b"Content-Length: 5", b"Connection: Keep-Alive", status_line=b"HTTP/1.0 200 OK\r\n"), Framing.LENGTH, 5, True),
        (head(b"Connection: keep-alive", status_line=b"HTTP/1.0 200 OK\r\n"), Framing.CLOSE, 0, False),
        (head(status_line=b"HTTP/1.1 100 Continue\r\n"), Framing.NONE, 0, True),
        (head(b"Link: </x>", status_line=b"HTTP/1.1 103 Early Hints\r\n"), Framing.NONE, 0, True),
        (head(status_line=b"HTTP/1.1 204 No Content\r\n"), Framing.NONE, 0, True),
        (head(b"Content-Length: 5", status_line=b"HTTP/1.1 304 Not Modified\r\n"), Framing.NONE, 0, True),
        (head(b"Transfer-Encoding: chunked", status_line=b"HTTP/1.1 204 x\r\n"), Framing.NONE, 0, True),
    ],
)
def test_a_head_says_how_the_body_ends_and_whether_the_connection_lives_on(
    data: bytes, framing: Framing, length: int, *, keep_alive: bool
) -> None:
    found = read(data + b"the body")
    assert (found.framing, found.length, found.keep_alive, found.size) == (framing, length, keep_alive, len(data))


@pytest.mark.parametrize(
    ("status_line", "status"),
    [(b"HTTP/1.1 200 OK", 200), (b"HTTP/1.1 200 ", 200), (b"HTTP/1.1 200", 200), (b"HTTP/1.0 418 I'm a \xff teapot", 418)],
)
def test_the_reason_may_be_anything_or_nothing(status_line: bytes, status: int) -> None:
    assert read(head(status_line=status_line + b"\r\n")).status == status


def test_names_are_lower_case_and_repeated_fields_are_joined() -> None:
    found = read(head(b"Retry-After: 1", b"Set-Cookie: a=1", b"SET-COOKIE: b=2", b"X-Empty:", b"X-Latin: \xe9", b"X-Blanks: a  b \t"))
    assert found.headers == {"retry-after": "1", "set-cookie": "a=1, b=2", "x-empty": "", "x-latin": "é", "x-blanks": "a  b"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", id="bare line feed after the status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n", id="bare line feed between fields"),
        pytest.param(b"HTTP/1.1 200 OK\n\n", id="bare line feeds only"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\n\r\n\r\n", id="bare line feed before the end"),
        pytest.param(head(b"A: b\rc"), id="bare carriage return"),
        pytest.param(head(b"A: b", b" folded"), id="folded line"),
        pytest.param(head(b"A: b", b"\tfolded"), id="line folded with a tab"),
        pytest.param(head(b" A: b"), id="first line folded"),
        pytest.param(head(b"Content-Length: 5", b"Content-Length: 6"), id="two lengths that differ"),
        pytest.param(head(b"Content-Length: 5", b"content-length: 5"), id="two lengths that agree"),
        pytest.param(head(b"Content-Length: 5, 5"), id="two lengths in one field"),
        pytest.param(head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), id="length beside a coding"),
        pytest.param(head(b"Transfer-Encoding: gzip"), id="another coding"),
        pytest.param(head(b"Transfer-Encoding: gzip, chunked"), id="two codings"),
        pytest.param(head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), id="two fields of codings"),
        pytest.param(head(b"Transfer-Encoding: identity"), id="identity coding"),
        pytest.param(head(b"Transfer-Encoding:"), id="empty coding"),
        pytest.param(head(b"Transfer-Encoding: chunked;q=1"), id="coding with a parameter"),
        pytest.param(head(b"Transfer-Encoding: chunked", status_line=b"HTTP/1.0 200 OK\r\n"), id="coding in HTTP/1.0"),
        pytest.param(head(b"Content-Length:"), id="empty length"),
        pytest.param(head(b"Content-Length: -1"), id="negative length"),
        pytest.param(head(b"Content-Length: +1"), id="length with a sign"),
        pytest.param(head(b"Content-Length: 0x5"), id="hexadecimal length"),
        pytest.param(head(b"Content-Length: 5 5"), id="length with a blank"),
        pytest.param(head(b"Content-Length: 1_0"), id="length with an underscore"),
        pytest.param(head(b"Content-Length: \xb2"), id="superscript length"),
        pytest.param(head(b"Content-Length: 2000000000000000"), id="length beyond the limit"),
        pytest.param(head(b"Content-Length: 99999999999999999999"), id="length beyond 64 bits"),
        pytest.param(head(b"A: b\x00c"), id="NUL in a value"),
        pytest.param(head(b"A: b\x7fc"), id="DEL in a value"),
        pytest.param(head(b"A\x00: b"), id="NUL in a name"),
        pytest.param(head(b"A : b"), id="blank before the colon"),
        pytest.param(head(b"A b: c"), id="blank in a name"),
        pytest.param(head(b": b"), id="no name"),
        pytest.param(head(b"A"), id="no colon"),
        pytest.param(head(b"\xe9: b"), id="name outside ASCII"),
        pytest.param(head(status_line=b"HTTP/2 200\r\n"), id="HTTP/2"),
        pytest.param(head(status_line=b"HTTP/1.2 200 OK\r\n"), id="HTTP/1.2"),
        pytest.param(head(status_line=b"HTTP/1.10 200 OK\r\n"), id="HTTP/1.10"),
        pytest.param(head(status_line=b"http/1.1 200 OK\r\n"), id="lower case"),
        pytest.param(head(status_line=b"ICY 200 OK\r\n"), id="another protocol"),
        pytest.param(head(status_line=b"HTTP/1.1  200 OK\r\n"), id="two blanks"),
        pytest.param(head(status_line=b"HTTP/1.1\t200 OK\r\n"), id="tab"),
        pytest.param(head(status_line=b"HTTP/1.1 20 OK\r\n"), id="two digits"),
        pytest.param(head(status_line=b"HTTP/1.1 2000 OK\r\n"), id="four digits"),
        pytest.param(head(status_line=b"HTTP/1.1 000 OK\r\n"), id="status zero"),
        pytest.param(head(status_line=b"HTTP/1.1 099 OK\r\n"), id="status below 100"),
        pytest.param(head(status_line=b"HTTP/1.1 +20 OK\r\n"), id="signed status"),
        pytest.param(head(status_line=b"HTTP/1.1 200OK\r\n"), id="no blank before the reason"),
        pytest.param(head(status_line=b"HTTP/1.1 200 O\x00K\r\n"), id="NUL in the reason"),
        pytest.param(head(status_line=b"\r\n" + OK), id="empty line first"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\n\r\n\r\n", id="line feed alone on a line"),
        pytest.param(b"<html>", id="HTML without a head"),
        pytest.param(b"\x16\x03\x01", id="TLS where there should be none"),
    ],
)
def test_a_doubtful_head_is_refused_wherever_it_is_cut(data: bytes) -> None:
    for reads in every_cut(data):
        with pytest.raises(Malformed):
            feed(reads)


def test_a_refusal_shows_nothing_of_what_was_refused() -> None:
    with pytest.raises(Malformed) as refused:
        parse_head(head(b"Authorization: Bearer sk-secret\x00"))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"H", b"HTTP/1.", b"HTTP/1.1 200 OK", OK, OK + b"A: b\r\n", OK + b"A: b\r\n\r"])
def test_of_an_unfinished_head_the_rest_is_awaited(data: bytes) -> None:
    assert parse_head(data) is None


def test_a_head_may_have_the_most_bytes_and_not_one_more() -> None:
    longest = head(b"A: " + b"x" * (MAX_HEAD_BYTES - len(head(b"A: "))))
    assert read(longest).size == MAX_HEAD_BYTES
    assert feed([longest[:-1], longest[-1:]]) == read(longest)
    for reads in ([b"X" + longest], [longest[:-4] + b"x", b"\r\n\r\n"], [longest[:-4] + b"xxxx"], [OK * MAX_HEAD_BYTES]):
        with pytest.raises(Malformed):
            feed(reads)


def test_a_head_without_end_is_refused() -> None:
    with pytest.raises(Malformed):
        parse_head(OK + b"A: " + b"x" * MAX_HEAD_BYTES)


@pytest.mark.parametrize(
    "field", [b"A:" + b" " * 30000 + b"\x00", b"A:b" + b" " * 30000 + b"\x00", b"A" * 30000, b"A:" + b"b " * 15000 + b"\x00"]
)
def test_no_head_is_dear_to_refuse(field: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Malformed):
        parse_head(head(field))
    assert time.process_time() - began < 0.5


def test_many_fields_of_one_name_are_not_dear() -> None:
    began = time.process_time()
    assert read(head(*[b"A:"] * 8000)).headers["a"].count(",") == 7999
    assert time.process_time() - began < 0.5


TOKENS = st.text("abcXYZ019-_!~", min_size=1, max_size=12).map(str.encode)
VALUES = st.binary(max_size=20).map(lambda value: bytes(byte for byte in value if byte == 9 or 0x20 <= byte != 0x7F))
FRAMING = st.sampled_from([[], [b"Content-Length: 12"], [b"Transfer-Encoding: chunked"], [b"Content-Length: 0", b"Connection: close"]])


@st.composite
def valid_heads(draw: st.DrawFn) -> bytes:
    fields = [name + b":" + value for name, value in draw(st.lists(st.tuples(TOKENS, VALUES), max_size=6))]
    status = draw(st.integers(100, 599))
    return head(*fields, *draw(FRAMING), status_line=b"HTTP/1.1 %d " % status + draw(VALUES) + b"\r\n")


@given(st.data())
def test_a_valid_head_reads_the_same_wherever_it_is_cut(data: st.DataObject) -> None:
    whole = data.draw(valid_heads())
    expected = parse_head(whole)
    assert expected is not None
    assert feed(data.draw(reads_of(whole))) == expected
    assert parse_head(whole + data.draw(st.binary(max_size=20))) == expected


@given(
    st.one_of(
        st.binary(max_size=200), st.binary(max_size=60).map(lambda data: OK + data + b"\r\n\r\n"), st.binary(max_size=60).map(OK.__add__)
    )
)
def test_arbitrary_bytes_are_a_head_or_malformed_and_nothing_else(data: bytes) -> None:
    for reads in ([data], [data[at : at + 1] for at in range(len(data))]):
        try:
            found = feed(reads)
        except Malformed:
            continue
        assert found is None or found.size <= len(data)


@given(valid_heads(), st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_damaged_head_is_refused_or_read_the_same_wherever_it_is_cut(whole: bytes, at: int, damage: bytes) -> None:
    at %= len(whole)
    damaged = whole[:at] + damage + whole[at + 1 :]

    def outcome(reads: list[bytes]) -> Head | str | None:
        try:
            return feed(reads)
        except Malformed:
            return "malformed"

    assert outcome([damaged[place : place + 1] for place in range(len(damaged))]) == outcome([damaged])


def test_our_own_head_is_one_that_we_would_take() -> None:
    ours = response_head(200, [("Content-Type", "application/json"), ("X-Request-Id", "abc"), ("Content-Length", "2")])
    assert ours == b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: abc\r\nContent-Length: 2\r\n\r\n"
    assert read(ours).length == 2
    assert response_head(429, [("Retry-After", "1")]).startswith(b"HTTP/1.1 429 \r\nRetry-After: 1\r\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Request-Id", "a\r\nSet-Cookie: b"),
        ("X-Request-Id", "a\nb"),
        ("X-Request-Id", "a\rb"),
        ("X-Request-Id", "a\x00b"),
        ("X-Request-Id", "a\x1bb"),
        ("X\r\nSet-Cookie", "b"),
        ("X: y\r\nA", "b"),
        ("X: y", "b"),
        ("X ", "b"),
        ("", "b"),
    ],
)
def test_nothing_can_be_slipped_into_our_head(name: str, value: str) -> None:
    with pytest.raises(Malformed):
        response_head(200, [(name, value)])


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_written_is_one_field(name: str, value: str) -> None:
    try:
        ours = response_head(200, [(f"X-{name}", value), ("Content-Length", "0")])
    except Malformed:
        return
    assert len(read(ours).headers) == 2
    assert ours.count(b"\r\n") == 4
