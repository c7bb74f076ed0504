"""Where files are, what they are called, how long they are."""

import ast

from tests.repo.exceptions import OVER_LONG, WITHOUT_OWN_TEST
from tests.repo.tree import OURS, ROOT, modules, name, sources, tree

MAX_LINES = 400
SAYS_NOTHING = {"base", "common", "helper", "helpers", "manager", "misc", "service", "util", "utils"}


def test_every_module_has_its_own_test_file() -> None:
    without = set()
    for path in sources("relay"):
        folder = path.parent.relative_to(ROOT / "relay")
        if path.name != "__init__.py" and not (ROOT / "tests" / "unit" / folder / f"test_{path.name}").exists():
            without.add(name(path))
    assert without == set(WITHOUT_OWN_TEST), "write the test file, or take the entry out of tests/repo/exceptions.py"


def test_no_file_is_too_long() -> None:
    long = {name(path) for path in sources(*OURS) if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES}
    assert long == set(OVER_LONG), "split the file, or take the entry out of tests/repo/exceptions.py"


def test_every_name_says_something() -> None:
    parts = {name(path): {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} for path in sources(*OURS)}
    assert [path for path, words in parts.items() if words & SAYS_NOTHING] == []


def test_every_module_opens_by_saying_what_it_is_for() -> None:
    assert [name(path) for path in sources(*OURS) if not ast.get_docstring(tree(path))] == []


def test_a_package_file_only_introduces_its_package() -> None:
    packages = [path for path in modules().values() if path.name == "__init__.py"]
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [name(path) for path in packages if any(isinstance(node, defining) for node in tree(path).body)] == []
