"""The printer's quoting against the real lexer: awkward text comes back from a running nginx byte for byte."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.edge.conf import MAX_TOKEN_BYTES, Text, Var, block, line, print_tree, table
from tests.edge.raw import ask
from tests.edge.running import Edge, running
from tests.edge.truth import request

AWKWARD = (
    "plain",
    "default",
    "hostnames",
    "volatile",
    "include",
    "if",
    "~",
    "~^a",
    "//",
    "=",
    "^~",
    "%00",
    "()",
    "semi;colon",
    "{braces}",
    "}",
    "a#b",
    "#",
    '"',
    "'",
    "\\",
    "\\\\",
    '\\"',
    "\\n",
    "\\t",
    "a\\",
    "\\default",
    "two words",
    '"}; } server {',
    "a'b\"c\\d e",
    "é 中 🙂",
    "x" * MAX_TOKEN_BYTES,
    "'\"" * ((MAX_TOKEN_BYTES - 2) // 3),
)
"""The last two are as long as the printer lets a word be, with quotes and backslashes counted."""


@pytest.fixture(scope="module")
def echoing(nginx: Path) -> Iterator[Edge]:
    """An nginx that says each awkward text back, and tells which text a User-Agent is, found by a map's key."""
    keys = table(Var("http_user_agent"), "awkward", [(text, f"number {at}") for at, text in enumerate(AWKWARD[:-2])], otherwise="none")
    said = [block("location", "=", f"/say/{at}", body=(line("return", 200, text),)) for at, text in enumerate(AWKWARD)]
    told = block("location", "=", "/tell", body=(line("return", 200, Text((Var("awkward"),))),))

    def add(text: str) -> str:
        for place, more in (("    # The public endpoint", [keys]), ("        # Default deny", [*said, told])):
            text = text.replace(place, f"{print_tree(more)}{place}", 1)
        return text

    with running(nginx, change=add) as edge:
        yield edge


def _ask(edge: Edge, path: str, *lines: str) -> bytes:
    return ask(edge.port, request(path, *lines).replace(b"HOST", f"llm.example.com:{edge.port}".encode())).body


def test_awkward_text_comes_back_byte_for_byte(echoing: Edge) -> None:
    assert [_ask(echoing, f"/say/{at}") for at in range(len(AWKWARD))] == [text.encode() for text in AWKWARD]


def test_an_awkward_key_of_a_map_is_found_as_itself(echoing: Edge) -> None:
    latin = [(at, text) for at, text in enumerate(AWKWARD[:-2]) if text.isascii()]
    assert [_ask(echoing, "/tell", f"User-Agent: {text}") for _, text in latin] == [f"number {at}".encode() for at, _ in latin]
