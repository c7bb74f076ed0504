"""The same bytes, cut into reads in every way: what a parser makes of them must not depend on it."""

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import strategies as st


@st.composite
def reads_of(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """`data` in pieces of at least one byte."""
    places = draw(st.sets(st.integers(0, len(data)), max_size=20)) | {0, len(data)}
    return [data[start:end] for start, end in pairwise(sorted(places))]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """`data` whole, in two pieces at every place, and byte by byte."""
    yield [data]
    yield from ([data[:at], data[at:]] for at in range(1, len(data)))
    yield [data[at : at + 1] for at in range(len(data))]
