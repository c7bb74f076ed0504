"""What is known of a stream does not depend on how its bytes came, and the end marker never leaves before it is told to."""

import time
from itertools import islice

import pytest

from relay.domain.usage import Usage
from relay.wire.chunks import LAST_CHUNK, ChunkScanner, frame
from relay.wire.openai_stream import MAX_LINE, LineTooLong, StreamTap
from tests.support.cuts import every_cut
from tests.unit.wire.transcripts import DONE, HI, ROLE, STOP, TRANSCRIPTS, USAGE, chunk, delta, written
from tests.unit.wire.watching import chunked, every, marker_of, watch_chunks, watch_lines

# --- the streams of the vendors


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_every_vendors_stream_is_understood_wherever_it_is_cut(name: str, line_end: str) -> None:
    stream = written(TRANSCRIPTS[name], line_end)
    marker = marker_of(stream)
    assert marker is not None
    expected = (Usage(3, 2), True, True, True)
    events = [event + line_end * 2 for event in TRANSCRIPTS[name]]
    framed = chunked([event.encode() for event in events])
    for out in (watch_lines([stream]), watch_chunks([framed]), watch_chunks([frame(event.encode()) for event in events])):
        assert out.facts == expected
        assert out.left == stream[: marker.start]
        assert out.left + out.held == stream
    for watch, data in ((watch_lines, stream), (watch_chunks, framed)):
        for reads in islice(every_cut(data), 0, None, 7):
            out = watch(reads)
            assert out.facts == expected
            assert len(out.left) in marker
    byte_by_byte = watch_chunks([framed[at : at + 1] for at in range(len(framed))])
    assert (byte_by_byte.facts, byte_by_byte.left + byte_by_byte.held) == (expected, stream)


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_the_first_token_is_noticed_with_its_event_and_not_before(name: str) -> None:
    tap = StreamTap()
    seen = []
    for event in TRANSCRIPTS[name]:
        tap.feed_whole(written((event,)))
        seen.append(tap.first_token)
    says = [any(text in event for text in ('"H', '"hm"', '"think"', '"name":"f"', '"content": "Hi"')) for event in TRANSCRIPTS[name]]
    assert seen.index(True) == says.index(True)


@pytest.mark.parametrize("fields", ['"content":""', '"content":null', '"role":"assistant"', '"tool_calls":[]', '"content":[]', ""])
def test_an_empty_delta_is_no_first_token(fields: str) -> None:
    tap = StreamTap()
    tap.feed_whole(written((delta(fields),)))
    assert not tap.first_token


# --- the end


@pytest.mark.parametrize(
    "event",
    [
        delta('"content":"data: [DONE]"'),
        delta('"content":"\\ndata: [DONE]\\n\\n"'),
        delta('"content":"[DONE]"'),
        ": data: [DONE]",
        "data: x [DONE]",
        'data: "[DONE]"',
        " data: [DONE]",
        "id: data: [DONE]",
        "data:  [DONE]",
        "data: [done]",
        "data: [DONE",
    ],
)
def test_text_about_the_end_is_not_the_end(event: str) -> None:
    stream = written((event, HI))
    for watch, data in ((watch_lines, stream), (watch_chunks, chunked([stream])), (watch_chunks, chunked(every(stream, 5)))):
        for reads in every_cut(data):
            out = watch(reads)
            assert not out.tap.done
            assert out.left == stream


def test_content_that_a_chunk_cuts_before_an_end_marker_is_not_the_end() -> None:
    content = delta('"content":"data: [DONE]"').encode()
    at = content.index(b"data: [DONE]")
    out = watch_chunks([frame(content[:at]), frame(content[at:] + b"\n\n")])
    assert not out.tap.done
    assert out.left == content + b"\n\n"


@pytest.mark.parametrize("marker", [b"data: [DONE]", b"data:[DONE]"])
@pytest.mark.parametrize("after", [b"\n\n", b"\r\n\r\n", b"\n", b"", b" \n\n", b"\n\n: bye\n\n"])
def test_the_end_marker_is_held_whole_when_it_comes_whole(marker: bytes, after: bytes) -> None:
    before = written((ROLE, HI, STOP))
    for out in (
        watch_lines([before, marker + after]),
        watch_lines([before + marker + after]),
        watch_chunks([frame(before), frame(marker + after)]),
        watch_chunks([frame(before) + frame(marker + after) + LAST_CHUNK]),
        watch_chunks([frame(before + marker + after)]),
        watch_chunks([frame(before) + frame(marker + after)[:-1]]),
        watch_chunks([frame(before)[:-1], b"\n" + frame(marker + after)]),
    ):
        assert (out.left, out.held, out.tap.done) == (before, marker + after, True)


def test_after_the_end_nothing_may_be_put_behind_what_left() -> None:
    tap = StreamTap()
    tap.feed_whole(written((HI,)))
    assert tap.between_events
    tap.feed_whole(written((DONE,)))
    assert not tap.between_events


def test_a_marker_right_at_the_beginning_is_the_end() -> None:
    assert StreamTap().feed_whole(b"data: [DONE]\n\n") == 0
    tap = StreamTap()
    tap.framing = 2
    data = frame(b"data: [DONE]\n\n")
    assert data[tap.feed_whole(data) :].startswith(b"data: [DONE]")


# --- whether the model had finished, where there is no end marker


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("events", "finished"),
    [
        ((ROLE, HI), False),
        ((ROLE, HI, STOP), True),
        ((ROLE, HI, STOP, chunk("", f",{USAGE}")), True),
        ((ROLE, HI, delta("", '"stop"', f",{USAGE}")), True),
        ((ROLE, delta('"content":"usage"')), False),
        ((ROLE, delta('"content":"\\"usage\\":{"')), False),
        ((ROLE, delta('"content":"finish_reason"'), HI), False),
        ((ROLE, delta('"content":"\\"finish_reason\\":\\"stop\\""')), False),
        ((ROLE, delta('"content":"Hi"', rest=f",{USAGE}")), False),
        ((ROLE, delta('"content":"Hi"', '""')), False),
        ((ROLE, HI, 'data: {"choices":[{"finish_reason": "length"}]}'), True),
        ((ROLE, STOP, HI), False),  # of several choices one had finished
        ((ROLE, STOP, HI, chunk("", f",{USAGE}")), False),
        ((), False),
        ((": keep-alive",), False),
    ],
)
def test_without_an_end_marker_the_model_must_have_said_that_it_finished(events: tuple[str, ...], line_end: str, *, finished: bool) -> None:
    stream = written(events, line_end)
    framed = chunked([(event + line_end * 2).encode() for event in events])
    for watch, data in ((watch_lines, stream), (watch_chunks, framed), (watch_chunks, chunked(every(stream, 11)))):
        for reads in every_cut(data):
            assert watch(reads).tap.finished is finished


def test_an_event_that_was_cut_does_not_finish_a_stream() -> None:
    stream = written((ROLE, HI, STOP))[:-6]
    assert stream.endswith(b'"finish_reason":"stop')
    for reads in every_cut(stream):
        assert not watch_lines(reads).tap.finished


# --- usage

BAD = [
    '{"prompt_tokens":-1,"completion_tokens":2}',
    '{"prompt_tokens":3,"completion_tokens":-2}',
    '{"prompt_tokens":1000000000000000000,"completion_tokens":2}',
    '{"prompt_tokens":3,"completion_tokens":1000000000000000000}',
    '{"prompt_tokens":"3","completion_tokens":"2"}',
    '{"prompt_tokens":3.0,"completion_tokens":2.0}',
    '{"prompt_tokens":true,"completion_tokens":false}',
    '{"prompt_tokens":null,"completion_tokens":null}',
    '{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}',
    '{"prompt_tokens":[3]}',
    "{}",
    "[]",
    "5",
    "null",
]


@pytest.mark.parametrize("bad", BAD)
def test_a_usage_that_cannot_be_true_is_not_believed(bad: str) -> None:
    good = chunk("", f",{USAGE}")
    lie = chunk("", f',"usage":{bad}')
    for events, expected in (((lie,), None), ((good, lie), Usage(3, 2)), ((lie, good), Usage(3, 2)), ((good, *[lie] * 50), Usage(3, 2))):
        stream = written((HI, *events, STOP, DONE))
        for reads in ([stream], every(stream, 7), [written((event,)) for event in (HI, *events, STOP, DONE)]):
            assert watch_lines(reads).tap.usage() == expected


def test_of_many_usages_the_last_one_counts() -> None:
    events = tuple(chunk("", f',"usage":{{"prompt_tokens":3,"completion_tokens":{count}}}') for count in range(1, 100))
    for reads in ([written(events)], [written((event,)) for event in events], every(written(events), 13)):
        assert watch_lines(reads).tap.usage() == Usage(3, 99)


def test_usage_can_be_asked_for_in_the_middle() -> None:
    tap = StreamTap()
    assert tap.usage() is None
    tap.feed_whole(written((chunk("", f",{USAGE}"),)))
    assert tap.usage() == tap.usage() == Usage(3, 2)
    tap.feed_whole(written((HI,)))
    assert tap.usage() == Usage(3, 2)


def test_a_usage_outlives_a_null_in_the_same_read() -> None:
    tap = StreamTap()
    tap.feed_whole(written((chunk("", f",{USAGE}"), delta("", rest=',"usage":null'))))
    assert tap.usage() == Usage(3, 2)


@pytest.mark.parametrize(
    "event",
    [
        f": {{{USAGE}}}",
        f"id: {{{USAGE}}}",
        f"data: [{{{USAGE}}}]",
        f"data: {{{USAGE}",
        delta('"content":"\\"usage\\":{\\"prompt_tokens\\":9,\\"completion_tokens\\":9}"'),
        f'data: {{"other":{{{USAGE}}}}}',
    ],
)
def test_what_only_looks_like_usage_is_not_read(event: str) -> None:
    assert watch_lines([written((event, HI))]).tap.usage() is None
    assert watch_chunks([frame(written((event, HI)))]).tap.usage() is None


def test_parts_of_usage_are_read() -> None:
    details = '"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}'
    tap = StreamTap()
    tap.feed_whole(written((chunk("", f',"usage":{{"prompt_tokens":9,"completion_tokens":2,{details}}}'),)))
    assert tap.usage() == Usage(9, 2, cached=4, reasoning=1)


def test_a_usage_that_a_chunk_cuts_is_read() -> None:
    event = chunk("", f",{USAGE}").encode()
    for at in range(1, len(event)):
        assert watch_chunks([frame(event[:at]), frame(event[at:] + b"\n\n")]).tap.usage() == Usage(3, 2)


# --- between events


@pytest.mark.parametrize("framing", [0, 2])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_something_may_be_put_between_events_only(framing: int, line_end: bytes) -> None:
    tap = StreamTap()
    tap.framing = framing
    assert tap.between_events
    for read, between in [
        (b"data: 1" + line_end * 2, True),
        (b"data: 2" + line_end, False),
        (line_end, True),
        (b"event: x" + line_end, False),
        (b"data: 3" + line_end * 2, True),
        (b": comment" + line_end * 2, True),
    ]:
        tap.feed_whole(frame(read) if framing else read)
        assert tap.between_events is between
    tap.chunk_is_open = True
    assert not tap.between_events


def test_a_cut_size_line_does_not_touch_the_stream() -> None:
    scanner, tap = ChunkScanner(), StreamTap()
    tap.framing = 2
    event = frame(b"data: 1\n\n")
    tap.feed_cut(scanner.feed(event[:1]), scanner.payload_spans())
    assert tap.untouched
    assert tap.between_events
    tap.feed_whole(scanner.feed(event[1:]))
    assert not tap.untouched
    assert tap.between_events
    tap.feed_cut(scanner.feed(event[:1]), scanner.payload_spans())
    assert tap.between_events


# --- bounds


def test_a_line_may_have_the_most_bytes_and_not_one_more() -> None:
    begin, half = b"data: " + b"x" * 1000, b"x" * (MAX_LINE // 2)
    rest = b"x" * (MAX_LINE - len(begin + half))
    for reads in (
        [begin + half + rest],
        [begin, half, rest, b"\n\n"],
        [begin, half, rest + b"\r", b"\n\r\n"],
        [begin, half + rest + b"\r\r"],
    ):
        watch_lines(reads)
    for reads in (
        [begin + half + rest, b"xx"],
        [begin, half, rest + b"x\n"],
        [begin, half, rest + b"x\r\n"],
        [b"\n" + begin, half + rest + b"x\ny"],
    ):
        with pytest.raises(LineTooLong):
            watch_lines(reads)


def test_an_endless_line_in_small_pieces_is_not_dear() -> None:
    tap = StreamTap()
    piece = b'"usage" [DONE] "content":""' * 2
    began = time.process_time()
    for _ in range((2 << 20) // len(piece)):
        tap.feed_cut(piece, [(0, len(piece))])
    assert time.process_time() - began < 2
    assert not tap.done
