"""The first words of what should be an event stream: while nothing has left, another channel can still be tried."""

import re
from enum import Enum

# Each line can be read in one way only, so that a hostile stream costs no more than its length.
_NO_EVENTS = re.compile(rb"\s*[{<\[]")
_FIRST_DATA = re.compile(rb"(?:(?!data:)[^\r\n]*(?:\r\n|\n|\r(?!\n)))*data:([^\r\n]*)[\r\n]")
_REFUSAL = re.compile(rb"""\s*(?:\{\s*"error"\s*:\s*[{"]|\[DONE\])""")


class Opening(Enum):
    """What the first words say."""

    UNCLEAR = 0
    FINE = 1
    REFUSAL = 2


def judge_opening(text: bytes) -> Opening:
    """Judge by the first whole `data:` line. Linear in the length of `text`.

    A refusal is an error, an end without any event, or what is no event stream at all but JSON or HTML.
    """
    if _NO_EVENTS.match(text):
        return Opening.REFUSAL
    found = _FIRST_DATA.match(text)
    if found is None:
        return Opening.UNCLEAR
    return Opening.REFUSAL if _REFUSAL.match(found[1]) else Opening.FINE
