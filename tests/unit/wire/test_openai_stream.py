"""What is known of a stream does not depend on how its bytes came, and the end marker never leaves before it is told to."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.usage import Usage, usage_from
from relay.wire.chunks import ChunkScanner, frame
from relay.wire.openai_stream import MAX_LINE, LineTooLong, StreamTap
from tests.support.cuts import every_cut, reads_of
from tests.unit.wire.transcripts import DONE, HI, ROLE, STOP, TRANSCRIPTS, USAGE, chunk, delta, written

LAST = b"0\r\n\r\n"


@dataclass
class Watched:
    """A stream as it went through a reader: what left, what was held, what the tap knows."""

    tap: StreamTap = field(default_factory=StreamTap)
    left: bytes = b""  # payload that left before the end marker was seen
    held: bytes = b""  # payload kept back from then on

    @property
    def facts(self) -> tuple[object, ...]:
        tap = self.tap
        return (tap.usage(), tap.first_token, tap.done, tap.finished)

    def take(self, data: bytes, spans: Sequence[tuple[int, int]], at: int) -> None:
        cut = len(data) if at < 0 else at
        self.left += b"".join(data[start : min(end, cut)] for start, end in spans if start < cut)
        self.held += b"".join(data[max(start, cut) : end] for start, end in spans if end > cut)

    def check_place(self, *, may: bool) -> None:
        """Something may be put behind what left if that ends with an event's empty line (or nothing has left)."""
        tap, left = self.tap, self.left
        is_over = not left.lstrip(b"\r\n") or left.endswith((b"\n\n", b"\n\r\n", b"\r\r"))
        assert not tap.between_events or (may and is_over and not tap.done)
        if not left.startswith((b"\r", b"\n")) and not left.endswith(b"\r"):  # there the tap may be careful
            assert tap.between_events is (may and is_over and not tap.done)
        assert tap.untouched is (left + self.held == b"")


def watch_chunks(reads: Sequence[bytes]) -> Watched:
    """As upstream/splice.py follows a chunked stream."""
    out, scanner = Watched(), ChunkScanner()
    tap = out.tap
    tap.framing = 2
    for read in reads:
        if scanner.ended:
            break
        data = scanner.feed(read)
        if tap.done:
            out.held += b"".join(data[start:end] for start, end in scanner.payload_spans())
            continue
        at = tap.feed_whole(data) if scanner.whole else tap.feed_cut(data, scanner.payload_spans())
        out.take(data, scanner.payload_spans(), at)
        tap.chunk_is_open = not scanner.at_boundary
        out.check_place(may=scanner.at_boundary)
    return out


def watch_lines(reads: Sequence[bytes]) -> Watched:
    """As upstream/splice.py follows a stream without chunks."""
    out = Watched()
    tap = out.tap
    for read in reads:
        if tap.done:
            out.held += read
            continue
        at = tap.feed_whole(read) if read.endswith(b"\n") else tap.feed_cut(read, [(0, len(read))])
        out.take(read, [(0, len(read))], at)
        out.check_place(may=True)
    return out


def chunked(payloads: Sequence[bytes]) -> bytes:
    return b"".join(map(frame, payloads)) + LAST


def lines_of(stream: bytes) -> list[bytes]:
    """By the event stream format: LF, CRLF and CR end a line."""
    return re.split(rb"\r\n|\n|\r", stream)


def marker_of(stream: bytes) -> range | None:
    """Where the end marker is: at the beginning of a line."""
    found = re.search(rb"(?:\A|[\r\n])(data: ?\[DONE\])", stream)
    return range(*found.span(1)) if found else None


def usage_by_parsing(stream: bytes) -> Usage | None:
    """The last usage that can be true, found by reading each event."""
    events = [json.loads(line[5:]) for line in lines_of(stream) if line.startswith(b"data:") and b"[DONE]" not in line[:12]]
    found = [usage for event in events if (usage := usage_from(event.get("usage")))]
    return found[-1] if found else None


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


def every(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


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
        watch_chunks([frame(before) + frame(marker + after) + LAST]),
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


# --- any stream


TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["data: [DONE]", "\ndata: [DONE]\n", "usage", '"usage":{', '"finish_reason":"stop"', "[DONE]", "\r"]),
)
COUNTS = st.one_of(st.integers(0, 50), st.sampled_from([-1, 10**18, None, "7", 2.5]))
USAGES = st.one_of(st.none(), st.fixed_dictionaries({"prompt_tokens": COUNTS, "completion_tokens": COUNTS}))


@st.composite
def events(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["content", "content", "usage", "comment", "named"]))
    if kind == "comment":
        return draw(st.sampled_from([": keep-alive", ":", ": data: [DONE]"]))
    body: dict[str, object] = {"choices": [{"index": 0, "delta": {"content": draw(TEXTS)}, "finish_reason": None}]}
    if kind == "usage":
        body["usage"] = draw(USAGES)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    data = f"data:{draw(st.sampled_from(['', ' ']))}{json.dumps(body, separators=separators, ensure_ascii=draw(st.booleans()))}"
    return f"event: x\n{data}" if kind == "named" else data


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    line_end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    end = draw(st.sampled_from(["", DONE + "\n\n", "data:[DONE]\n\n", DONE, DONE + "\n"]))
    text = "".join(event + "\n\n" for event in draw(st.lists(events(), max_size=6))) + end
    return text.replace("\n", line_end).encode("utf-8", "surrogatepass")


def has_token(stream: bytes) -> bool:
    events = [json.loads(line[5:]) for line in lines_of(stream) if line.startswith(b"data:") and b"[DONE]" not in line[:12]]
    return any(event["choices"][0]["delta"]["content"] for event in events)


def check(out: Watched, stream: bytes) -> None:
    marker = marker_of(stream)
    assert out.tap.usage() == usage_by_parsing(stream)
    assert out.tap.first_token is has_token(stream)
    assert out.tap.done is out.tap.finished is (marker is not None)
    assert out.left + out.held == stream
    if marker is not None:
        assert len(out.left) in marker


@given(st.data(), streams())
def test_any_stream_of_lines_is_understood_wherever_it_is_cut(data: st.DataObject, stream: bytes) -> None:
    check(watch_lines(data.draw(reads_of(stream))), stream)


@given(st.data(), streams())
def test_any_stream_of_chunks_is_understood_wherever_it_is_cut(data: st.DataObject, stream: bytes) -> None:
    framed = chunked(data.draw(reads_of(stream)))
    check(watch_chunks(data.draw(reads_of(framed))), stream)


@given(st.data(), streams())
def test_of_reads_that_are_whole_events_nothing_of_the_end_marker_leaves(data: st.DataObject, stream: bytes) -> None:
    marker = marker_of(stream)
    whole = re.findall(rb".*?(?:\r\n\r\n|\n\n|\r\r|\Z)", stream, re.DOTALL)[:-1]
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=len(whole), max_size=len(whole)))
    groups, at = [], 0
    for size in sizes:
        groups.append(whole[at : at + size])
        at += size
    for out in (
        watch_lines([b"".join(group) for group in groups if group]),
        watch_chunks([b"".join(map(frame, group)) for group in groups if group]),
    ):
        check(out, stream)
        assert out.left == (stream[: marker.start] if marker else stream)


@given(st.data(), st.lists(st.binary(max_size=20), max_size=8))
def test_arbitrary_bytes_never_raise(data: st.DataObject, reads: list[bytes]) -> None:
    pieces = [b"data: {", b'"usage":{', b"}", b"\n", b"\r\n", b"data: [DONE]"]
    mixed = [read + data.draw(st.sampled_from(pieces)) for read in reads]
    out = watch_lines(mixed)
    assert out.left + out.held == b"".join(mixed)
    assert out.facts == out.facts
    watch_chunks([*map(frame, mixed), LAST])
