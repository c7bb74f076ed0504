"""What a reading of the settings found: problems, which refuse them, and notices, which don't.

Rules of this file: one line a finding, whatever the names in it are made of; never a value of a setting, which may be a
secret in the wrong place.
"""

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

ENVIRONMENT = "environment"
"""Stands where the name of the file would, when a variable is to blame."""

Where = tuple[str | int, ...]
"""Where a setting is: ("channel", 1, "base_url")."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, with where it is and the next step."""

    kind: ClassVar[str]

    file: str  # as it was named on the command line, or ENVIRONMENT
    line: int | None
    path: str  # "channel.1.base_url", the name of a variable, or nothing when it is about the whole file
    what: str
    hint: str | None = None

    def __str__(self) -> str:
        where = [printable(self.file) + (f":{self.line}" if self.line else ""), *([self.path] if self.path else [])]
        return ": ".join([*where, self.what]) + (f"; {self.hint}" if self.hint else "")

    def as_dict(self) -> dict[str, str | int | None]:
        """Give what `--json` prints."""
        return {"kind": self.kind, "file": self.file, "line": self.line, "path": self.path, "what": self.what, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class Problem(Finding):
    """The settings can't be used with it."""

    kind: ClassVar[str] = "problem"


@dataclass(frozen=True, slots=True)
class Notice(Finding):
    """The settings can be used, but this is worth a look."""

    kind: ClassVar[str] = "notice"


class ConfigError(Exception):
    """The settings can't be used: every problem at once, and what else was noticed."""

    def __init__(self, problems: Iterable[Problem], notices: Iterable[Notice] = ()) -> None:
        self.problems = tuple(problems)
        self.notices = tuple(notices)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding of a rule that knows which setting it speaks of, not yet where that is written."""

    path: Where
    what: str
    hint: str | None = None
    first: Where | None = None  # where the same thing stands already; its line becomes the hint


def remark(path: Where, text: str) -> Remark:
    """Split a sentence as the validators write it: what is wrong, "; ", the next step."""
    what, _, hint = text.partition("; ")
    return Remark(path, what, hint or None)


def dotted(path: Where) -> str:
    """Write a path as a person would in TOML, with positions as numbers: channel.0.models."a b"."""
    return ".".join(str(part) if isinstance(part, int) or _BARE.fullmatch(part) else json.dumps(_cut(part)) for part in path)


def printable(text: str) -> str:
    """Escape what would break the line, hide text or steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def closest(word: str, known: Iterable[str], *, alike: float = 0.6) -> str | None:
    """Find the one known word that was probably meant."""
    by_plain = {_plain(each): each for each in known}
    close = difflib.get_close_matches(_plain(_cut(word)), by_plain, n=1, cutoff=alike)
    return by_plain[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Suggest that word, in words."""
    meant = closest(word, known)
    return f"did you mean '{printable(meant)}'" if meant else None


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
