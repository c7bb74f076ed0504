"""What must stand in no file of the repository."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.repo.tree import ROOT, files, name

MACHINE_PATH = re.compile(r"(?<![\w.~$-])/(?:root|home|work|Users)/\w|/opt/(?:wheels|pypi)\b|\b[A-Z]:\\Users\b")
INDEX_ADDRESS = re.compile(r"\b(?:pypi\.org|pythonhosted\.org|npmjs\.org|deb(?:ian)?\.debian\.org)\b|--(?:extra-)?index-url\b")


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in files():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{name(path)}:{number}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
    return found


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert lines_with(MACHINE_PATH) == []


def test_no_file_names_a_package_index() -> None:
    assert lines_with(INDEX_ADDRESS) == []


def compiled(path: Path) -> Iterator[tuple[int, str]]:
    """Each pattern that a module compiles, as `re` understands it, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "compile":
            pattern = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
            if isinstance(pattern, (str, bytes)):
                flags = re.VERBOSE if "\n" in str(pattern) else re.NOFLAG
                yield node.lineno, repr(re._parser.parse(pattern, flags))  # type: ignore[attr-defined]  # noqa: SLF001 - the only reader of patterns


def test_no_pattern_needs_what_debians_python_gets_wrong() -> None:
    """Possessive quantifiers and atomic groups match wrongly in CPython 3.11.0 to 3.11.3 (python/cpython#106052); Debian 12 has 3.11.2."""
    modules = sorted(ROOT.glob("relay/**/*.py"))
    found = [f"{name(path)}:{line}" for path in modules for line, parsed in compiled(path) if "POSSESSIVE" in parsed or "ATOMIC" in parsed]
    assert found == []
