"""Whatever a stream says and however it is cut, the tap knows of it what plain reading finds."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from relay.wire.chunks import LAST_CHUNK, frame
from tests.support.cuts import reads_of
from tests.unit.wire.transcripts import DONE
from tests.unit.wire.watching import Watched, chunked, lines_of, marker_of, usage_by_parsing, watch_chunks, watch_lines

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
    watch_chunks([*map(frame, mixed), LAST_CHUNK])
