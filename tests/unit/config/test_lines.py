"""The line of every setting, compared with a writer that knows where it writes and with the parser that knows what is there."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from relay.config.findings import Where
from relay.config.lines import LONGEST, key_lines

EVERYTHING = '''\
# [not.a.table]
top = 1  # not = 2
dotted.key."with blank".'and \\ slash' = """
[inside]
text = "x" \\""" and ""\\
"""""

[table]  # "
list = [ 1, # ]
  [ "]", '[', """
]""" ],
  { inner = 1, deep.er = [3, {}] },
  1979-05-27 07:32:32Z, 1e5, -inf,
]
\t"\\u0061" = \'\'\'
[also.inside]\'\'\'\'\'
[ "table" . below ]
here = {}

[[several]]
name = "first"
[several.sub]
deep = true
[[several.subs]]
x = 1
[[several.subs]]
x = 2
[[several]]
name = "second"
[[several.subs]]
x = 3
'''

LINES_OF_EVERYTHING: dict[Where, int] = {
    ("top",): 2,
    ("dotted", "key", "with blank", "and \\ slash"): 3,
    ("table",): 8,
    ("table", "list"): 9,
    ("table", "list", 0): 9,
    ("table", "list", 1): 10,
    ("table", "list", 1, 1): 10,
    ("table", "list", 2, "inner"): 12,
    ("table", "list", 2, "deep", "er"): 12,
    ("table", "list", 2, "deep", "er", 1): 12,
    ("table", "list", 3): 13,
    ("table", "list", 5): 13,
    ("table", "a"): 15,
    ("table", "below"): 17,
    ("table", "below", "here"): 18,
    ("several",): 20,
    ("several", 0, "name"): 21,
    ("several", 0, "sub"): 22,
    ("several", 0, "sub", "deep"): 23,
    ("several", 0, "subs", 0, "x"): 25,
    ("several", 0, "subs", 1): 26,
    ("several", 0, "subs", 1, "x"): 27,
    ("several", 1): 28,
    ("several", 1, "name"): 29,
    ("several", 1, "subs", 0, "x"): 31,
}


def places(node: object, where: Where = ()) -> Iterator[Where]:
    """Every place in parsed TOML."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for part, inner in below:
        yield (*where, part)
        yield from places(inner, (*where, part))


def test_every_shape_of_toml_has_its_line() -> None:
    lines = key_lines(EVERYTHING)
    assert {where: lines.of(where) for where in LINES_OF_EVERYTHING} == LINES_OF_EVERYTHING
    assert set(lines.exact) == set(places(tomllib.loads(EVERYTHING)))


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = key_lines('[edge]\ntls = { mode = "off" }\n')
    assert (lines.of(("edge", "domain")), lines.of(("edge", "tls", "key")), lines.of(("server", "drain")), lines.of(())) == (
        1,
        2,
        None,
        None,
    )


def test_lines_end_as_on_windows_too() -> None:
    lines = key_lines('[server]\r\ndrain = """a\r\nb"""\r\ntries = 3\r\n')
    assert (lines.of(("server", "drain")), lines.of(("server", "tries"))) == (2, 4)


def test_what_is_written_twice_is_known() -> None:
    lines = key_lines("[a]\nb = 1\nc = { d = 1, d = 2 }\nb = 2\n")
    assert lines.repeated == [(("a", "c", "d"), 3), (("a", "b"), 4)]
    assert lines.of(("a", "b")) == 2


def test_the_last_thing_that_begins_is_known() -> None:
    assert key_lines("a = 1\nb = [\n 1,\n 2,\n\n\n").last == 4


def test_a_very_deep_place_has_the_line_of_what_is_around_it() -> None:
    lines = key_lines("a = " + "[" * 200 + "\n" + "]" * 200 + "\n" + ".".join("b" * 200) + " = 1")
    assert max(map(len, lines.exact)) == LONGEST
    assert lines.of(("a", *([0] * 200))) == 1
    assert lines.of(tuple("b" * 200)) == 3


@given(st.text(alphabet=st.sampled_from("ab01.,=[]{}\"'#\\\n\r\t \u00e9")) | st.text())
def test_no_text_is_too_odd(text: str) -> None:
    last = text.count("\n") + 1
    lines = key_lines(text)
    assert all(1 <= line <= last for line in lines.exact.values())
    try:
        parsed = tomllib.loads(text)
    except ValueError:
        return
    assert set(lines.exact) == set(places(parsed))


# --- a writer that counts


@dataclass
class Writer:
    """Writes TOML in the odd ways that are allowed, and notes where."""

    draw: st.DrawFn
    text: str = ""
    lines: dict[Where, int] = field(default_factory=dict)

    def note(self, where: Where) -> None:
        self.lines.setdefault(where, self.text.count("\n") + 1)

    def put(self, text: str) -> None:
        self.text += text

    def pick(self, *choices: str) -> None:
        self.put(self.draw(st.sampled_from(choices)))

    def gap(self) -> None:
        """Between two entries of a list anything may stand that means nothing."""
        self.pick("", " ", "\n", "\n\t\n", " # ] } , [x] = '\n", '# """\n')

    def key(self, name: str) -> None:
        written = [json.dumps(name), '"' + "".join(f"\\u{ord(char):04x}" for char in name) + '"', f"'{name}'"]
        self.pick(*written, *([name] if name.isidentifier() and name.isascii() else []))

    def value(self, where: Where, depth: int) -> None:
        self.note(where)
        shape = self.draw(st.integers(0, 7 if depth else 5))
        if shape == 6:
            self.list(where, depth)
        elif shape == 7:
            self.table(where, depth)
        else:
            self.pick(*SCALARS)

    def list(self, where: Where, depth: int) -> None:
        self.put("[")
        for number in range(self.draw(st.integers(0, 3))):
            self.gap()
            self.value((*where, number), depth - 1)
            self.gap()
            self.put(",")
        self.gap()
        self.put("]")

    def table(self, where: Where, depth: int) -> None:
        self.put("{")
        for number, name in enumerate(self.draw(NAMES)):
            self.pick(*([", ", " ,"] if number else ["", " "]))
            self.note((*where, name))
            self.key(name)
            self.pick("=", " = ", "\t=")
            self.value((*where, name), depth - 1)
        self.pick("", " ")
        self.put("}")

    def settings(self, where: Where) -> None:
        for name in self.draw(NAMES):
            self.pick("", "\n", "  ", "# x = [\n")
            self.note((*where, name))
            self.key(name)
            self.pick(" = ", "=")
            self.value((*where, name), 2)
            self.pick("\n", " # x = 1\n", "\r\n")


NAMES = st.lists(st.sampled_from(["a", "b-c", "d e", "f.g", "h#", "é", "i]"]), unique=True, max_size=3)
SCALARS = (
    *("1", "true", "-1.5e3", "1979-05-27T07:32:32", "1979-05-27 07:32:32Z", "07:32:32", '""', "''"),
    *('"a # b"', '"\\"]"', "'[x]'", '"""\n[x]\na = 1\n"""', '"""a""b\\""" """""', "'''\n#\n'' '''"),
)


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw)
    writer.settings(())
    for number, table in enumerate(draw(st.lists(st.sampled_from(["table", "list", "list of tables"]), max_size=4))):
        name = f"t{number}" if table == "table" else "ts"
        where: Where = (name,)
        if table != "table":
            writer.note(where)
            where = (name, sum(1 for each in writer.lines if len(each) == 2 and each[0] == name and isinstance(each[1], int)))
        writer.note(where)
        writer.put(f"[ {name} ] # [x]\n" if table == "table" else f"[[{name}]]\n")
        writer.settings(where)
    return writer


@given(documents())
def test_every_setting_of_any_file_has_its_line(written: Writer) -> None:
    assert set(written.lines) == set(places(tomllib.loads(written.text)))  # the writer is right about what it wrote
    assert key_lines(written.text).exact == written.lines
