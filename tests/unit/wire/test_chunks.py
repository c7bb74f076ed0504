"""A chunked body is followed the same way wherever it is cut, held against a decoder that does nothing but what the RFC says."""

import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire.chunks import LAST_CHUNK, MAX_SIZE_LINE, MAX_TRAILERS, ChunkScanner, frame, spans_of
from relay.wire.http_head import Malformed
from tests.support.cuts import every_cut, reads_of


def decode(data: bytes) -> tuple[list[bytes], bytes]:
    """The chunks and what follows the body: RFC 9112 section 7.1.3, for bodies that are valid."""
    chunks = []
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line.partition(b";")[0].strip(b" \t"), 16)
        if not size:
            break
        assert data[size : size + 2] == b"\r\n"
        chunks.append(data[:size])
        data = data[size + 2 :]
    while line:
        line, _, data = data.partition(b"\r\n")
    return chunks, data


@dataclass
class Followed:
    """What came of a body."""

    forwarded: bytes = b""
    payload: bytes = b""
    wholes: list[bool] = field(default_factory=list)
    scanner: ChunkScanner = field(default_factory=ChunkScanner, compare=False)

    @property
    def state(self) -> tuple[object, ...]:
        """All of it that must not depend on cuts."""
        scanner = self.scanner
        at = (scanner.left, scanner.at_boundary, scanner.last_seen, scanner.ended, scanner.rest)
        return (self.forwarded, self.payload, *at)


def follow(reads: list[bytes]) -> Followed:
    """Raises Malformed. Checks after each read what every user of the scanner relies on."""
    out = Followed()
    scanner = out.scanner
    for each in reads:
        forwarded = scanner.feed(each)
        spans = scanner.payload_spans()
        assert all(0 <= start <= end <= len(forwarded) for start, end in spans)
        out.forwarded += forwarded
        out.payload += b"".join(forwarded[start:end] for start, end in spans)
        out.wholes.append(scanner.whole)
        if scanner.whole and forwarded:
            assert forwarded.endswith(b"\n\r\n")
            assert spans_of(forwarded) == spans
    return out


SIZE_LINE_ENDS = st.sampled_from([b"", b"", b"", b" ", b"\t ", b";a", b";a=b", b' ;a="b;c"', b";\xff", b";" + b"x" * 200])


@dataclass(frozen=True)
class Body:
    """A valid chunked body and what may be forwarded of it."""

    sent: bytes
    forwarded: bytes
    payload: bytes
    stray: bytes


@st.composite
def bodies(draw: st.DrawFn) -> Body:
    sent = forwarded = payload = b""
    for _ in range(draw(st.integers(0, 6))):
        chunk = draw(st.one_of(st.binary(min_size=1, max_size=40), st.binary(max_size=20).map(lambda data: data + b"\n"), st.just(b"\r\n")))
        digits = draw(st.sampled_from([b"%x", b"%X", b"%06x"])) % len(chunk)
        rest = draw(SIZE_LINE_ENDS)
        sent += digits + rest + b"\r\n" + chunk + b"\r\n"
        forwarded += (b"%x" % len(chunk) if rest else digits) + b"\r\n" + chunk + b"\r\n"
        payload += chunk
    trailers = draw(st.lists(st.sampled_from([b"A: b", b"X-Sum:", b"C:\td "]), max_size=3))
    sent += draw(st.sampled_from([b"0", b"000"])) + draw(SIZE_LINE_ENDS) + b"\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"
    return Body(sent, forwarded, payload, draw(st.sampled_from([b"", b"", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\x00"])))


@given(st.data())
def test_the_body_is_forwarded_without_extensions_trailers_and_end_wherever_it_is_cut(data: st.DataObject) -> None:
    body = data.draw(bodies())
    assert (b"".join(decode(body.sent + body.stray)[0]), decode(body.sent + body.stray)[1]) == (body.payload, body.stray)
    out = follow(data.draw(reads_of(body.sent + body.stray)))
    assert out.forwarded == body.forwarded
    assert out.payload == body.payload
    assert (out.scanner.ended, out.scanner.last_seen, out.scanner.rest) == (True, True, body.stray)
    assert decode(out.forwarded + LAST_CHUNK) == (decode(body.sent)[0], b"")


@given(st.data())
def test_what_is_forwarded_of_a_beginning_ends_at_a_clean_place(data: st.DataObject) -> None:
    body = data.draw(bodies())
    beginning = body.sent[: data.draw(st.integers(0, len(body.sent)))]
    out = follow(data.draw(reads_of(beginning)))
    assert out.state == follow([beginning]).state
    assert body.forwarded.startswith(out.forwarded)
    if out.scanner.at_boundary:
        assert b"".join(decode(out.forwarded + LAST_CHUNK)[0]) == out.payload


def test_every_cut_of_one_body() -> None:
    body = b"3\r\nab\n\r\n00A;x=y\r\n0123456789\r\n1 \r\n\n\r\n0;last\r\nA: b\r\n\r\nstray"
    for reads in every_cut(body):
        out = follow(reads)
        assert out.forwarded == b"3\r\nab\n\r\na\r\n0123456789\r\n1\r\n\n\r\n"
        assert out.payload == b"ab\n0123456789\n"
        assert (out.scanner.ended, out.scanner.rest) == (True, b"stray")


def test_the_usual_read_is_forwarded_as_the_very_same_object() -> None:
    scanner = ChunkScanner()
    read = frame(b"data: {}\n\n") + frame(b"data: {}\n\n")
    assert scanner.feed(read) is read
    assert scanner.whole
    part = frame(b"data: {}\n\n")[:9]
    assert scanner.feed(part) is part
    assert not scanner.whole


@pytest.mark.parametrize(
    ("reads", "wholes"),
    [
        ([b"3\r\nab\n\r\n", b"1\r\n\n\r\n"], [True, True]),
        ([b"3\r\nab\n\r\n3\r\nabc\r\n"], [False]),
        ([b"3\r\nab\n", b"\r\n1\r\n\n\r\n", b"1\r\n\n\r\n"], [False, False, True]),
        ([b"3\r\nab\n\r\n1", b"\r\n\n\r\n"], [False, True]),
        ([b"3\r\nab\n\r\n0\r\n\r\n"], [True]),
        ([b"0\r\n\r\n"], [True]),
    ],
)
def test_a_read_is_whole_if_it_is_chunks_that_end_lines(reads: list[bytes], wholes: list[bool]) -> None:
    assert follow(reads).wholes == wholes


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\r\n", id="no size"),
        pytest.param(b"g\r\n", id="not hexadecimal"),
        pytest.param(b"-1\r\n", id="negative"),
        pytest.param(b"+1\r\na\r\n", id="signed"),
        pytest.param(b"0x1\r\na\r\n", id="with prefix"),
        pytest.param(b"1_0\r\n", id="underscore"),
        pytest.param(b" 1\r\na\r\n", id="blank first"),
        pytest.param(b"1 1\r\na\r\n", id="blank between"),
        pytest.param(b"1,1\r\na\r\n", id="comma"),
        pytest.param(b"\xd9\xa1\r\na\r\n", id="digits of another script"),
        pytest.param(b"1\x00\r\na\r\n", id="NUL"),
        pytest.param(b"1;\x00\r\na\r\n", id="NUL in an extension"),
        pytest.param(b"1;a\nb\r\na\r\n", id="line feed in an extension"),
        pytest.param(b"1;a\rb\r\na\r\n", id="carriage return in an extension"),
        pytest.param(b"10000000000\r\n", id="eleven digits"),
        pytest.param(b"f" * 16 + b"\r\n", id="beyond 64 bits"),
        pytest.param(b"ffffffffffffffff1\r\na\r\n", id="wraps around"),
        pytest.param(b"1\na\r\n" + b"\r\n", id="size line ends with a line feed alone"),
        pytest.param(b"1\r\nab\r\n", id="longer than its size"),
        pytest.param(b"2\r\na\r\n0\r\n\r\n", id="shorter than its size"),
        pytest.param(b"1\r\na\n0\r\n\r\n", id="payload ends with a line feed alone"),
        pytest.param(b"1\r\na\r0\r\n\r\n", id="payload ends with a carriage return alone"),
        pytest.param(b"1;x\r\nab\r\n0\r\n\r\n", id="longer than its size, with an extension"),
        pytest.param(b"1;" + b"x" * MAX_SIZE_LINE + b"\r\na\r\n", id="long size line"),
        pytest.param(b"1;" + b"x" * 2 * MAX_SIZE_LINE, id="endless size line"),
        pytest.param(b"0\r\nA\r\n\r\n", id="trailer without a colon"),
        pytest.param(b"0\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n", id="another answer in the trailers"),
        pytest.param(b"0\r\nA: b\r\n folded\r\n\r\n", id="folded trailer"),
        pytest.param(b"0\r\nA: b\nC: d\r\n\r\n", id="line feed in the trailers"),
        pytest.param(b"0\r\nA: " + b"x" * MAX_TRAILERS + b"\r\n\r\n", id="long trailers"),
        pytest.param(b"0\r\nA: " + b"x" * MAX_TRAILERS, id="endless trailers"),
    ],
)
def test_a_malformed_body_is_refused_wherever_it_is_cut(body: bytes) -> None:
    for reads in [[body], [body[at : at + 1] for at in range(len(body))], [body[:3], body[3:]], [b"1\r\na\r\n" + body]]:
        with pytest.raises(Malformed):
            follow(reads)


def test_a_size_line_and_trailers_may_have_the_most_bytes() -> None:
    extension = b"1;" + b"x" * (MAX_SIZE_LINE - 2)
    trailers = b"A: " + b"x" * (MAX_TRAILERS - 7) + b"\r\n\r\n"
    body = extension + b"\r\na\r\n0\r\n" + trailers
    for reads in [[body], [body[at : at + 1] for at in range(len(body))]]:
        out = follow(reads)
        assert (out.payload, out.scanner.ended, out.scanner.rest) == (b"a", True, b"")


def test_the_largest_chunk_is_followed_without_being_held() -> None:
    scanner = ChunkScanner()
    assert scanner.feed(b"ffffffffff\r\n" + b"x" * 1000) == b"ffffffffff\r\n" + b"x" * 1000
    assert scanner.left == 0xFFFFFFFFFF - 1000


def outcome(reads: list[bytes]) -> object:
    try:
        return follow(reads).state
    except Malformed:
        return "malformed"


@given(st.data(), st.one_of(st.binary(max_size=60), st.text("0123456789abcdef;\r\n x", max_size=60).map(str.encode)))
def test_arbitrary_bytes_are_followed_or_malformed_and_the_same_wherever_they_are_cut(data: st.DataObject, body: bytes) -> None:
    assert outcome(data.draw(reads_of(body))) == outcome([body])


@given(st.data())
def test_a_damaged_body_is_followed_or_malformed_and_the_same_wherever_it_is_cut(data: st.DataObject) -> None:
    body = data.draw(bodies()).sent
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:at] + data.draw(st.binary(max_size=2)) + body[at + 1 :]
    assert outcome(data.draw(reads_of(damaged))) == outcome([damaged])


def test_many_extensions_in_one_read_are_not_dear() -> None:
    read = b"1;\r\nx\r\n" * 150_000
    began = time.process_time()
    assert ChunkScanner().feed(read) == b"1\r\nx\r\n" * 150_000
    assert time.process_time() - began < 3


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5))
def test_frames_are_read_back(payloads: list[bytes]) -> None:
    framed = b"".join(map(frame, payloads))
    assert decode(framed + LAST_CHUNK) == (payloads, b"")
    assert [framed[start:end] for start, end in spans_of(framed)] == payloads
