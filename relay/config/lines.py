"""On which line of a TOML text each setting is written: ("channel", 1, "base_url") -> 23.

The parser of the standard library forgets lines, so the text is read once more, for its shape alone. This never raises: it is
asked about texts that the parser refused, too. Where it can't tell, the line of the nearest table is its answer.
"""

import re
import tomllib
from bisect import bisect_left
from dataclasses import dataclass, field

from relay.config.findings import Where

LONGEST = 64
"""Paths of more parts are not remembered, nor more than MOST of them: a hostile text must not cost more memory than it is long."""

MOST = 1 << 20

# No possessive quantifiers: the Python of Debian 12 (3.11.2) gets some of them wrong (python/cpython#106052).
_BLANK = re.compile(r"[ \t\r]*")
_VOID = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST = re.compile(r"[^\n]*")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_SCALAR = re.compile(
    r'''
      """(?:[^"\\]|\\.|"{1,2}(?!"))*(?:"{3,5}|\Z)   # up to two quotes may stand before the closing three
    | \'\'\'(?:[^']|'{1,2}(?!'))*(?:'{3,5}|\Z)
    | "(?:[^"\\\n]|\\.)*"?
    | '[^'\n]*'?
    | \d{4}-\d\d-\d\d[ ]\d\d:[^\s,\]}#]*              # a moment is the one bare value with a blank in it
    | [^\s,\[\]{}#"']+
    ''',
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_CLOSES = {"[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one text."""

    exact: dict[Where, int]
    repeated: list[tuple[Where, int]]
    """Settings that are written again, and where; `exact` has the first place."""

    last: int
    """The line on which the last thing that could be read begins."""

    def of(self, where: Where) -> int | None:
        """Give the line of a setting, or else of the nearest table around it that is written at all."""
        while where and where not in self.exact:
            where = where[:-1]
        return self.exact.get(where)


def key_lines(text: str) -> Lines:
    """Find the line of every table, setting, list entry and inline setting of a TOML text."""
    reader = _Reader(text)
    reader.read()
    return Lines(reader.exact, reader.repeated, reader.last)


@dataclass(slots=True)
class _Open:
    """A list or an inline table whose end has not come yet."""

    where: Where
    closing: str
    entries: int = 0


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0
    last: int = 1
    table: Where = ()
    exact: dict[Where, int] = field(default_factory=dict)
    repeated: list[tuple[Where, int]] = field(default_factory=list)
    lists: dict[Where, int] = field(default_factory=dict)  # [[list of tables]]: how many so far
    ends: list[int] = field(default_factory=list)  # positions of the line feeds

    def read(self) -> None:
        self.ends = [found.start() for found in re.finditer("\n", self.text)]
        while not self._is_over(_VOID):
            if self.text[self.at] == "[":
                self._header()
            else:
                self._setting()
            self._skip(_REST)

    # --- the three shapes of a line

    def _header(self) -> None:
        line = self._line()
        is_list = self.text.startswith("[[", self.at)
        self.at += 2 if is_list else 1
        if not (parts := self._key()):
            return
        where: Where = ()
        for part in parts[:-1] if is_list else parts:
            where = self._current((*where, part))
        if is_list:
            where = (*where, parts[-1])
            self._note(where, line)
            self.lists[where] = self.lists.get(where, 0) + 1
            where = self._current(where)
        self._note(where, line)
        self.table = where

    def _setting(self) -> None:
        if where := self._named(self.table):
            self._value(where)

    def _value(self, where: Where) -> None:
        """Pass over a value, however deep, noting what is in it. One loop, since a text of brackets would exhaust any stack."""
        waiting: list[_Open] = []
        self._begin(where, waiting)
        while waiting and not self._is_over(_VOID):
            inner = waiting[-1]
            char = self.text[self.at]
            if char in ",]}":
                self.at += 1
                if char == inner.closing:
                    waiting.pop()
            elif inner.closing == "]":
                entry = _below(inner.where, inner.entries)
                inner.entries += 1
                self._note(entry, self._line())
                self._begin(entry, waiting)
            elif named := self._named(inner.where):
                self._begin(named, waiting)
            else:
                self.at += 1

    # --- their pieces

    def _named(self, table: Where) -> Where | None:
        """Read `key =` and give the place it names."""
        line = self._line()
        parts = self._key()
        self._skip(_BLANK)
        if not parts or not self.text.startswith("=", self.at):
            return None
        self.at += 1
        where = table
        for part in parts:
            where = _below(where, part)
            if where in self.exact and len(where) == len(table) + len(parts):
                self.repeated.append((where, line))
            self._note(where, line)
        return where

    def _begin(self, where: Where, waiting: list[_Open]) -> None:
        """Pass over a value without parts, or over the opening of one with parts."""
        self._skip(_BLANK)
        char = self.text[self.at : self.at + 1]
        if char in _CLOSES:
            waiting.append(_Open(where, _CLOSES[char]))
            self.at += 1
        elif not self._skip(_SCALAR) and waiting and char not in ",]}":
            self.at += 1

    def _key(self) -> list[str]:
        """Read a dotted key; nothing where there is none."""
        parts: list[str] = []
        self._skip(_BLANK)
        while found := _KEY_PART.match(self.text, self.at):
            self.at = found.end()
            if len(parts) <= LONGEST:
                parts.append(_plain(found[0]))
            if not self._skip(_DOT):
                return parts
        return []

    def _current(self, where: Where) -> Where:
        """In a path, the name of a [[list of tables]] means its last table."""
        return (*where, self.lists[where] - 1) if where in self.lists else where

    def _note(self, where: Where, line: int) -> None:
        self.last = line
        if len(where) > LONGEST or where in self.exact or len(self.exact) >= MOST:
            return
        for end in range(1, len(where) + 1):
            self.exact.setdefault(where[:end], line)

    def _line(self) -> int:
        return bisect_left(self.ends, self.at) + 1

    def _is_over(self, void: re.Pattern[str]) -> bool:
        self._skip(void)
        return self.at >= len(self.text)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return bool(found and found[0])


def _below(where: Where, part: str | int) -> Where:
    return where if len(where) > LONGEST else (*where, part)


def _plain(part: str) -> str:
    """Take a key out of its quotes."""
    if part.startswith('"') and "\\" in part:
        try:
            return str(tomllib.loads(f"key = {part}")["key"])
        except ValueError:
            return part
    return part[1:-1] if part[0] in "\"'" else part
