"""The client's reading: no split of the bytes fools it, and nothing that is missing, doubled or swapped passes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import wire

STAMPS = [1_000_000 + number for number in range(3)]
CONTENT = [wire.content_event(number, stamp) for number, stamp in enumerate(STAMPS)]
STREAM = b"".join([wire.STREAM_HEAD, *CONTENT, wire.FINISH, wire.USAGE, wire.DONE])


def read(expected: int, *pieces: bytes) -> tuple[wire.AnswerReader, list[int]]:
    reader = wire.AnswerReader(expected)
    return reader, [stamp for piece in pieces for stamp in reader.feed(piece)]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_stream_is_read_however_it_is_split(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    reader, stamps = read(3, *(STREAM[start:end] for start, end in pairwise(ends) if start < end))
    assert (reader.over, stamps) == (True, STAMPS)


def test_a_stream_is_read_when_a_relay_has_framed_it_anew() -> None:
    head, _, body = STREAM.partition(b"\r\n\r\n")
    payload = b"".join(b"data: " + event.split(b"\r\n")[0] for event in body.split(b"data: ")[1:])
    pieces = b"".join(wire.chunk(payload[at : at + 7]) for at in range(0, len(payload), 7))
    assert read(3, head + b"\r\n\r\n" + pieces + b"0\r\n\r\n")[1] == STAMPS


@pytest.mark.parametrize(
    ("expected", "answer", "why"),
    [
        (3, STREAM.replace(CONTENT[1], b""), "out of order"),
        (3, STREAM.replace(CONTENT[1], CONTENT[1] * 2), "out of order"),
        (3, STREAM.replace(CONTENT[2], b""), "cut after 2 of 3"),
        (3, STREAM.replace(wire.chunk(b"data: [DONE]\n\n"), b""), "no end marker"),
        (3, STREAM.replace(wire.USAGE, b""), "no usage"),
        (3, wire.WHOLE, "not the kind"),
        (0, STREAM, "not the kind"),
        (0, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "status 503"),
        (0, b"HTTP/1.1 200 OK\r\n\r\n", "no framing"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(expected: int, answer: bytes, why: str) -> None:
    with pytest.raises(wire.Broken, match=why):
        read(expected, answer)


def test_an_answer_in_one_piece_is_read() -> None:
    reader, _ = read(0, wire.WHOLE[:30], wire.WHOLE[30:-1])
    assert not reader.over
    reader.feed(wire.WHOLE[-1:])
    assert reader.over
    assert reader.keep_alive


@pytest.mark.parametrize("wish", [wire.Wish(100, 20_000, 5_000), wire.Wish(0, 0, 7)])
def test_a_wish_survives_the_request(wish: wire.Wish) -> None:
    sent = wire.request(wish, "127.0.0.1:1")
    assert wire.split_request(sent[:-1]) is None
    taken = wire.split_request(sent + b"POST")
    assert taken is not None
    assert (wire.wish_of(taken[0]), taken[1]) == (wish, b"POST")
