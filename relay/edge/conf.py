"""nginx configuration as a tree of frozen values, and the one place that prints and quotes it.

Rules of this file: it knows nginx's lexer and nothing of what a directive means. A plain `str` is literal text: it can't
start a variable (`$` is refused, since nginx has no escape for it), can't end its token, can't start a comment and can't
leave its line. Only `Var` and `Text` name variables.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_TOKEN_BYTES = 4000
"""nginx reads its file through a buffer of 4096 bytes and refuses a longer word ("too long parameter")."""

_BARE = re.compile(r"[A-Za-z0-9_./:*@%+=,<>?!~^|&$()\[\]-]+")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WORD_CHARACTER = re.compile(r"[A-Za-z0-9_]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAP_WORDS = frozenset({"default", "hostnames", "include", "volatile"})
_WIDTH = 118


class ConfError(ValueError):
    """A value that can't be written into a configuration as what it was meant to be."""


def _literal(text: str) -> str:
    if "$" in text:
        msg = f"literal text can't hold a dollar sign, nginx would read a variable: {text!r}"
        raise ConfError(msg)
    return _one_line(text)


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        msg = f"text can't hold a control character: {text!r}"
        raise ConfError(msg)
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = f"text can't hold half of a surrogate pair: {text!r}"
        raise ConfError(msg) from None
    return text


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        msg = f"not the name of a directive or variable: {name!r}"
        raise ConfError(msg)
    return name


@dataclass(frozen=True, slots=True)
class Var:
    """An nginx variable, written without its dollar sign."""

    name: str

    def __post_init__(self) -> None:
        _name(self.name)


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text and variables that make up one word."""

    parts: tuple[str | Var, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            if isinstance(part, str):
                _literal(part)


@dataclass(frozen=True, slots=True)
class Regex:
    """A pattern as the key of a map, the one place where this edge has any. A dollar sign is its anchor there, not a variable."""

    pattern: str

    def __post_init__(self) -> None:
        _one_line(self.pattern)


Word = str | Var | Text


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive. `body` is None for `name words;` and a tuple for `name words { … }`; `why` is printed above it."""

    name: str
    words: tuple[Word, ...] = ()
    body: "tuple[Node, ...] | None" = None
    why: str = ""

    def __post_init__(self) -> None:
        _name(self.name)
        for word in self.words:
            if isinstance(word, str):
                _literal(word)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a map: from a literal key, a pattern, or (None) from everything else."""

    key: str | Regex | None
    value: Word

    def __post_init__(self) -> None:
        for text in (self.key, self.value):
            if isinstance(text, str):
                _literal(text)


Node = Directive | Row


def line(name: str, *words: Word | int, why: str = "") -> Directive:
    """Make a directive without a block."""
    return Directive(name, tuple(str(word) if isinstance(word, int) else word for word in words), None, why)


def block(name: str, *words: Word, body: Iterable[Node], why: str = "") -> Directive:
    """Make a directive with a block."""
    return Directive(name, words, tuple(body), why)


def table(source: Word, result: str, rows: Iterable[tuple[str | Regex, Word]], *, otherwise: Word, why: str = "") -> Directive:
    """Make a map. `otherwise` must be said: a map without a default gives an empty string, which is no decision."""
    return block("map", source, Var(result), body=(Row(None, otherwise), *(Row(key, value) for key, value in rows)), why=why)


def when(variable: str, operator: str, value: str, *, answer: int) -> Directive:
    """Make `if ($variable = value) { return N; }`, the only use of `if` that nginx documents as safe inside a location."""
    return block("if", Text(("(", Var(variable))), operator, f"{value})", body=(line("return", answer),))


def seconds(value_s: float) -> str:
    """Write a duration as nginx reads it in every directive: whole seconds, else milliseconds."""
    return f"{int(value_s)}s" if value_s == int(value_s) else f"{max(1, round(value_s * 1000))}ms"


def size(value: int) -> str:
    """Write a size as nginx reads it in every directive (not all of them know "g")."""
    for unit, bytes_each in (("m", 1 << 20), ("k", 1 << 10)):
        if value and value % bytes_each == 0:
            return f"{value // bytes_each}{unit}"
    return str(value)


def walk(nodes: Iterable[Node], above: tuple[Directive, ...] = ()) -> Iterator[tuple[Directive, tuple[Directive, ...]]]:
    """Yield each directive of a tree with the blocks around it, outermost first."""
    for node in nodes:
        if isinstance(node, Directive):
            yield node, above
            yield from walk(node.body or (), (*above, node))


def plain(word: Word) -> str:
    """Write a word without quotes, as nginx has it in memory once it is read."""
    match word:
        case str():
            return word
        case Var():
            return f"${word.name}"
        case Text():
            return _joined(word)


def _joined(text: Text) -> str:
    """Put a variable's name in braces where the text after it would continue the name."""
    joined = ""
    for part in reversed(text.parts):
        if isinstance(part, str):
            joined = part + joined
        else:
            joined = (f"${{{part.name}}}" if _WORD_CHARACTER.match(joined) else f"${part.name}") + joined
    return joined


def key_text(key: str | Regex | None) -> str:
    """Write the key of a map row without quotes. A literal that nginx would take for a command gets the backslash that it strips."""
    match key:
        case None:
            return "default"
        case Regex():
            return f"~{key.pattern}"
        case _:
            return f"\\{key}" if key in _MAP_WORDS or key.startswith(("\\", "~")) else key


def quoted(text: str) -> str:
    """Quote a word if the lexer needs it. All quoting of the generated files happens here."""
    if _BARE.fullmatch(text):
        return _short(text)
    mark = "'" if '"' in text and "'" not in text else '"'  # JSON stays readable in single quotes
    escaped = text.replace("\\", "\\\\").replace(mark, f"\\{mark}")
    return _short(f"{mark}{escaped}{mark}")


def _short(written: str) -> str:
    """Hold a word to the length that nginx reads, which it counts with quotes and backslashes."""
    if (size_bytes := len(written.encode())) > MAX_TOKEN_BYTES:
        msg = f"a word of {size_bytes} bytes is longer than nginx reads ({MAX_TOKEN_BYTES})"
        raise ConfError(msg)
    return written


def comment(text: str, indent: str = "") -> Iterator[str]:
    """Write prose as comment lines, one paragraph for each line of the text."""
    for paragraph in text.splitlines():
        for row in textwrap.wrap(
            _CONTROL.sub(" ", paragraph), max(40, _WIDTH - len(indent)), break_on_hyphens=False, break_long_words=False
        ):
            yield f"{indent}# {row}"


def print_tree(nodes: Iterable[Node]) -> str:
    """Print a tree as the text of a configuration file."""
    return "\n".join(_lines(tuple(nodes), "")) + "\n"


def _lines(nodes: tuple[Node, ...], indent: str) -> Iterator[str]:
    for at, node in enumerate(nodes):
        if isinstance(node, Row):
            yield f"{indent}{quoted(key_text(node.key))} {quoted(plain(node.value))};"
            continue
        if node.why:
            if at:
                yield ""
            yield from comment(node.why, indent)
        head = " ".join((node.name, *(quoted(plain(word)) for word in node.words)))
        if node.body is None:
            yield f"{indent}{head};"
        elif not node.body:
            yield f"{indent}{head} {{}}"
        else:
            yield f"{indent}{head} {{"
            yield from _lines(node.body, f"{indent}    ")
            yield f"{indent}}}"
