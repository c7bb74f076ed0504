"""The first words of what should be an event stream: while nothing has left, another channel can still be tried."""

import re

_REFUSAL = re.compile(rb"""\s*+[{<\[]|(?:(?!data:)[^\r\n]*+(?:\r?\n|\r))*+data:\s*+\{\s*+"error"\s*+:\s*+[{"]""")


def opens_with_refusal(text: bytes) -> bool:
    """Whether the first event is an error, or this is no event stream at all but JSON or HTML. Linear in the length of `text`."""
    return bool(_REFUSAL.match(text))
