"""The printer: what goes in as a word is a word again when nginx's lexer has read it, and nothing else."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.edge.conf import (
    MAX_TOKEN_BYTES,
    ConfError,
    Directive,
    Node,
    Regex,
    Row,
    Text,
    Var,
    block,
    key_text,
    line,
    plain,
    print_tree,
    quoted,
    seconds,
    size,
    table,
    walk,
    when,
)

LITERAL = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="$"), max_size=60)
NAME = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
WORD = st.one_of(LITERAL, st.builds(Var, NAME), st.builds(Text, st.lists(LITERAL | st.builds(Var, NAME), max_size=4).map(tuple)))
ROW = st.builds(Row, st.none() | LITERAL | st.builds(Regex, LITERAL), WORD)
WHY = st.text(max_size=200)
LEAF = st.builds(Directive, NAME, st.lists(WORD, max_size=3).map(tuple), st.none(), WHY)
TREE = st.recursive(
    LEAF,
    lambda inner: st.builds(Directive, NAME, st.lists(WORD, max_size=2).map(tuple), st.lists(inner | ROW, max_size=3).map(tuple), WHY),
    max_leaves=8,
)


Parsed = tuple[tuple[str, ...], "list[Parsed] | None"]


def lex(text: str) -> Iterator[tuple[str, bool]]:
    """Read words as ngx_conf_read_token does: (text, is a mark). Written from its description, not from our printer."""
    at = 0
    while at < len(text):
        char = text[at]
        if char.isspace() and char in " \t\r\n":
            at += 1
        elif char == "#":
            at = text.find("\n", at) % (len(text) + 1)
        elif char in ";{}":
            yield char, True
            at += 1
        elif char in "'\"":
            word, at = _until(text, at + 1, char)
            at += 1
            assert text[at] in " \t\r\n;{)", "nginx wants a blank after a closing quote"
            yield word, False
        else:
            word, at = _until(text, at, " \t\r\n;{")
            yield word, False


def _until(text: str, at: int, ends: str) -> tuple[str, int]:
    word = ""
    while text[at] not in ends:
        if text[at] == "\\":
            at += 1
            known = {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}
            word += known.get(text[at], f"\\{text[at]}")
        else:
            word += text[at]
            if text[at : at + 2] == "${" and "{" in ends:
                at += 1
                word += "{"
        at += 1
    return word, at


def parse(tokens: Iterator[tuple[str, bool]]) -> list[Parsed]:
    found: list[Parsed] = []
    words: list[str] = []
    for text, is_mark in tokens:
        if not is_mark:
            words.append(text)
        elif text == ";":
            found.append((tuple(words), None))
            words = []
        elif text == "{":
            found.append((tuple(words), parse(tokens)))
            words = []
        else:
            break
    assert not words
    return found


def shape(nodes: tuple[Node, ...]) -> list[Parsed]:
    return [
        ((key_text(node.key), plain(node.value)), None)
        if isinstance(node, Row)
        else ((node.name, *map(plain, node.words)), None if node.body is None else shape(node.body))
        for node in nodes
    ]


@given(TREE)
def test_a_printed_tree_reads_back_as_the_tree(tree: Directive) -> None:
    assert parse(lex(print_tree([tree]))) == shape((tree,))


@given(LITERAL)
def test_a_literal_is_one_word_whatever_it_holds(text: str) -> None:
    assert list(lex(f"{quoted(text)};")) == [(text, False), (";", True)]


@given(st.text(max_size=40))
def test_any_text_is_either_refused_or_one_word(text: str) -> None:
    try:
        printed = print_tree([line("name", text)])
    except ConfError:
        assert set(text) & {"$", "\x7f", *map(chr, range(32))} or any("\ud800" <= char <= "\udfff" for char in text)
    else:
        assert parse(lex(printed)) == [(("name", text), None)]


@pytest.mark.parametrize("text", ["$", "a$b", "${x}", "\x00", "a\nb", "a\rb", "\t", "\x7f", "\ud800"])
def test_text_that_would_mean_something_else_is_refused(text: str) -> None:
    for make in (lambda: line("name", text), lambda: Text((text,)), lambda: Row(text, ""), lambda: Row(None, text)):
        with pytest.raises(ConfError):
            make()


@pytest.mark.parametrize("name", ["", "a b", "a;", "A", "1", "a{", "$x", "a-b"])
def test_a_name_can_not_be_anything_but_a_name(name: str) -> None:
    with pytest.raises(ConfError):
        Var(name)
    with pytest.raises(ConfError):
        line(name)


def test_a_pattern_keeps_its_dollar_sign_but_not_a_newline() -> None:
    assert print_tree([table(Var("x"), "y", [(Regex("^a b$"), "1")], otherwise="")]) == 'map $x $y {\n    default "";\n    "~^a b$" 1;\n}\n'
    with pytest.raises(ConfError):
        Regex("a\nb")


def test_a_word_longer_than_nginx_reads_is_refused_with_its_quotes_counted() -> None:
    assert quoted("x" * MAX_TOKEN_BYTES)
    for text in ("x" * (MAX_TOKEN_BYTES + 1), " " * (MAX_TOKEN_BYTES - 1), "\\" * (MAX_TOKEN_BYTES // 2), "é" * MAX_TOKEN_BYTES):
        with pytest.raises(ConfError, match="longer than nginx reads"):
            quoted(text)


def test_a_variable_does_not_run_into_the_text_after_it() -> None:
    assert plain(Text((Var("a"), "b", Var("c"), ":", Var("d"), Var("e")))) == "${a}b$c:$d$e"


@pytest.mark.parametrize(
    ("key", "written"), [("default", "\\default"), ("~x", "\\~x"), ("\\x", "\\\\x"), ("volatile", "\\volatile"), ("GET", "GET")]
)
def test_a_key_that_nginx_would_take_for_a_command_is_marked_as_a_key(key: str, written: str) -> None:
    assert key_text(key) == written


def test_json_stays_readable_and_a_text_with_both_quotes_is_escaped() -> None:
    assert quoted('{"a":"b"}') == '\'{"a":"b"}\''
    assert quoted("it's") == '"it\'s"'
    assert quoted('it\'s "x"') == '"it\'s \\"x\\""'


def test_a_reason_is_printed_above_its_directive_and_can_not_leave_its_comment() -> None:
    printed = print_tree([line("a", why="first"), line("b", 1, why="second\nthird; evil on;\x00\rx"), line("c")])
    assert printed == "# first\na;\n\n# second\n# third; evil on; \n# x\nb 1;\nc;\n".replace("; \n", ";\n")


def test_an_if_says_one_answer() -> None:
    assert print_tree([when("x", "!=", "pass", answer=403)]) == "if ($x != pass) {\n    return 403;\n}\n"


def test_an_empty_block_is_printed_on_one_line() -> None:
    assert print_tree([block("types", body=())]) == "types {}\n"


def test_walking_gives_each_directive_with_its_blocks() -> None:
    tree = (block("http", body=(block("server", body=(line("listen", 80),)),)),)
    assert [(node.name, [above.name for above in blocks]) for node, blocks in walk(tree)] == [
        ("http", []),
        ("server", ["http"]),
        ("listen", ["http", "server"]),
    ]


@pytest.mark.parametrize(("value_s", "text"), [(0.25, "250ms"), (1, "1s"), (600.0, "600s"), (1.5, "1500ms"), (0.0001, "1ms")])
def test_durations_are_written_in_units_that_every_directive_reads(value_s: float, text: str) -> None:
    assert seconds(value_s) == text


@pytest.mark.parametrize(("value", "text"), [(20 << 20, "20m"), (1 << 30, "1024m"), (1536, "1536"), (16 << 10, "16k"), (0, "0")])
def test_sizes_are_written_in_units_that_every_directive_reads(value: int, text: str) -> None:
    assert size(value) == text
