"""What must stand in no file of the repository."""

import re

from tests.repo.tree import files, name

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
