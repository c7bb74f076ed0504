"""What the documents name exists: links, files, tests, commands, codes. What they show loads."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from relay.cli import main
from relay.config.load import check_text
from relay.demo import announcement
from relay.domain import errors
from relay.domain.errors import Fault
from relay.edge.errors import DENIALS, REFUSALS
from relay.web.ops import HostNotAllowed
from tests.repo.tree import ROOT, files, name, sources, tree

PAGES = [path for path in files() if path.suffix == ".md"]
GENERATED_INTO = ("docs/configuration.md", "docs/metrics.md")  # their makers answer for what is in them, links apart
OURS = [page for page in PAGES if name(page) not in GENERATED_INTO]
TOP = ("relay/", "tests/", "docs/", "nginx/", "tools/", "deploy/", "requirements/", ".ci/")
PATH = re.compile(r"\.?[\w-]+(?:/[\w.-]+)+/?")
HAS_ENDING = re.compile(r"\.(?:py|md|toml|txt|conf|svg|json)$")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Code blocks of one language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)
    return found


def spans(page: Path) -> list[str]:
    """Code inside of sentences."""
    prose = re.sub(r"^```.*?^```", "", text(page), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = re.findall(r"`([^`\n]+)`", prose)
    return found


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as repository viewers make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text(page), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if "://" in target:
            continue
        where, _, anchor = target.partition("#")
        linked = (page.parent / where).resolve() if where else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", OURS, ids=name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = {word.partition("::")[0] for word in spans(page)}
    paths = {word for word in named if PATH.fullmatch(word) and (word.startswith(TOP) or HAS_ENDING.search(word))}
    assert {path for path in paths if not (ROOT / path).exists() and not (ROOT / "relay" / path).exists()} == set()


def test_every_method_that_is_named_exists() -> None:
    classes = [node for path in sources("relay") for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    methods = {
        f"{found.name}.{part.name}" for found in classes for part in found.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    attributes = {f"{found.name}.{node.attr}" for found in classes for node in ast.walk(found) if isinstance(node, ast.Attribute)}
    known = {found.name for found in classes}
    named = {word for page in OURS for word in spans(page) if re.fullmatch(r"_?[A-Z]\w+\.\w+", word) and word.partition(".")[0] in known}
    assert named
    assert named - methods - attributes == set()


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text(ROOT / "SECURITY.md"))
    assert named
    assert [f"{path}::{test}" for path, test in named if f"def {test}(" not in text(ROOT / path)] == []


@pytest.mark.parametrize("page", OURS, ids=name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    code = [*spans(page), *(line.partition("#")[0].strip() for block in blocks(page, "sh") for line in block.splitlines())]
    asked = {found[1] for line in code for found in re.finditer(r"(?:^|[ /])relay ([a-z]+(?: [a-z]+)?)", line)}
    assert {words for words in asked if not is_command(words.split())} == set()


def is_command(words: list[str]) -> bool:
    """Whether these words, or the first of them, are a command. A group needs one of its own commands behind it."""
    command = main.commands.get(words[0])
    if isinstance(command, click.Group):
        return len(words) == 1 or words[1] in command.commands
    return command is not None


@pytest.mark.parametrize(
    ("page", "block"),
    [(page, block) for page in OURS for block in blocks(page, "toml")],
    ids=lambda value: name(value) if isinstance(value, Path) else "",
)
def test_every_configuration_that_is_shown_loads(page: Path, block: str) -> None:
    verdict = check_text(block, {}, path=page.with_name("relay.toml"), resolve=False)
    assert verdict.problems == ()


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = " > ".join(next(contract["layers"] for contract in contracts if contract["type"] == "layers"))
    assert [name(page) for page in PAGES if layers in text(page)] == ["CONTRIBUTING.md", "docs/adr/0002-pure-middle-io-at-the-rim.md"]


def test_the_readme_shows_what_a_run_announces() -> None:
    said = [line.partition("  ")[0] for line in announcement.lines(8080, 8101, "sk-…", ["m"])]
    (shown,) = blocks(ROOT / "README.md", "text")
    words = [line.partition("  ")[0] for line in shown.splitlines()]
    assert [word for word in words if word != "check"] == said


def test_every_code_that_a_caller_may_see_is_explained() -> None:
    known = [fault for fault in vars(errors).values() if isinstance(fault, type) and issubclass(fault, Fault)]
    faults: list[type[Fault]] = [HostNotAllowed, *known]
    codes = {fault.code for fault in faults if fault.code}
    codes |= {refusal.code for refusal in REFUSALS if refusal.code} | {code for code, _ in DENIALS.values()}
    assert codes - set(spans(ROOT / "docs" / "operations.md")) == set()
