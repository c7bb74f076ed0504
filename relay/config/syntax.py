"""TOML text to plain tables, or the one slip of the pen that prevents it, in words for someone who doesn't know the grammar.

The parser stops at the first slip, so there is only ever one. A slip tells where and what, never what stands there.
"""

import re
import tomllib
from dataclasses import dataclass

from relay.config.findings import dotted
from relay.config.lines import Lines, key_lines


@dataclass(frozen=True, slots=True)
class Slip:
    """Why a text is not TOML."""

    line: int | None
    what: str
    hint: str | None = None


_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TWICE = re.compile(r"Cannot (?:overwrite a value|declare .* twice|mutate immutable namespace .*)|Duplicate inline table key .*")
_USUAL = (
    (
        "Expected newline or end of document",
        re.compile(r"[=\[,]\s*[0-9][0-9._]*[A-Za-z/]"),
        "a value with a unit that is not in quotes",
        'write for example "5m" or "20m"',
    ),
    (
        "Invalid value",
        re.compile("[=\\[,]\\s*[\u2018-\u201f\u00ab\u00bb\u300c\uff02\uff07]"),
        "typographic quotes",
        "use the plain ones of the keyboard",
    ),
    (
        "Invalid value",
        re.compile(r"=\s*(?:true|false|yes|no|on|off|none|null)\b", re.IGNORECASE),
        "a word that is no value",
        "write true or false, in small letters, or leave the setting out",
    ),
)
"""What the parser says, what the line looks like, and then what happened and the next step."""

_IN_WORDS: tuple[tuple[str, str, str | None], ...] = (
    (
        "Invalid statement",
        "a line that is neither a setting nor the heading of a table",
        "write NAME = VALUE, [TABLE] or [[TABLE]]",
    ),
    ("Expected newline or end of document", "something follows the value", "write one setting a line, with quotes around all of a text"),
    ("Expected '=' after a key", "a setting without its value", "write NAME = VALUE, or [NAME] for a table"),
    ("Invalid initial character for a key", "a name that can't be read", "letters, digits, _ and - need no quotes, all else does"),
    ("Invalid value", "there is no value that can be read", 'put a text in quotes, for example "text"'),
    ("Unterminated string", "a text whose closing quotes are missing", "close it with what it began with: one quote or three"),
    ("Found invalid character '\\n'", "a text whose closing quote is missing", "close it on its line"),
    ("Found invalid character", "a control character in a text or a comment", "delete it"),
    ("Illegal character '\\n'", "a text whose closing quote is missing", "close it on its line"),
    ("Illegal character", "a control character in a text or a comment", "delete it"),
    ("Unclosed array", "a list whose end is missing", "put a comma between two entries and a ] at the end"),
    ("Unclosed inline table", "an inline table whose end is missing", "close it with } on its line, with a comma between two settings"),
    ("Expected ']", "the heading of a table whose closing bracket is missing", "write [NAME], or [[NAME]] for one of several"),
    ("Unescaped '\\'", "a backslash that means nothing", "write two of them, or put the text in single quotes"),
    ("Invalid hex value", "a backslash that names no character", "write two of them, or put the text in single quotes"),
    ("Escaped character", "a backslash that names no character", "write two of them, or put the text in single quotes"),
    ("Invalid date or datetime", "a day or a time that doesn't exist", "write a date as 2027-12-31"),
)


def parse(text: str) -> dict[str, object] | Slip:
    """Read a whole text."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as refused:
        return _slip(text, str(refused))
    except RecursionError:
        return Slip(None, "not TOML: lists or tables are nested too deeply")
    except ValueError:  # Python refuses to read a number of more than 4300 digits
        return Slip(None, "not TOML: a number has too many digits")


def _slip(text: str, message: str) -> Slip:
    lines = key_lines(text)
    found = _POSITION.search(message)
    at = int(found[1]) if found and found[1] else None
    if _TWICE.match(message):
        return _twice(message, lines, at)
    if at is None:
        return _unfinished(text, message, lines)
    what, hint = _words(message, text.split("\n")[at - 1])
    return Slip(at, f"not TOML: {what}", hint)


def _unfinished(text: str, message: str, lines: Lines) -> Slip:
    """Say what began and has no end: the parser only knows that the text is over."""
    if message.startswith("Invalid value"):
        return Slip(lines.last, "not TOML: the file ends before the value that begins here")
    if message.startswith("Expected \"'"):
        quotes = message.removeprefix('Expected "').partition('"')[0]
        began = text.count("\n", 0, text.rfind(quotes)) + 1
        return Slip(began, f"not TOML: a text whose closing {quotes} is missing", "a text with a ' in it stands between double quotes")
    what, hint = _words(message, "")
    return Slip(lines.last, f"not TOML: {what}, and the file ends", hint)


def _words(message: str, line: str) -> tuple[str, str | None]:
    """Say it better than the parser where the line shows which of the usual mistakes it is."""
    for beginning, looks_like, what, hint in _USUAL:
        if message.startswith(beginning) and looks_like.search(line):
            return what, hint
    for beginning, said, next_step in _IN_WORDS:
        if message.startswith(beginning):
            return said, next_step
    return "this can't be read", None


def _twice(message: str, lines: Lines, at: int | None) -> Slip:
    if lines.repeated:
        where, line = lines.repeated[0]
        return Slip(line, f"not TOML: {dotted(where)} is written twice", f"the first is on line {lines.of(where)}")
    table = tuple(re.findall(r"'([^']*)'", message))
    first = lines.exact.get(table)
    next_step = f"the first is on line {first}; put its settings together, or write [[{dotted(table)}]] if there can be several"
    return Slip(at or lines.last, f"not TOML: the table {dotted(table)} is opened twice", next_step if first else None)
