"""The commands that the README shows exist, and continuous integration runs those same ones."""

import re

from tests.repo.tree import ROOT

TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
READMES = sorted(ROOT.glob("README*.md"))


def shown(readme: str) -> list[str]:
    """Lines of a page's code blocks."""
    return [line.strip() for block in re.findall(r"^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL) for line in block.splitlines()]


def test_every_make_command_of_a_readme_is_a_target() -> None:
    assert READMES
    for page in READMES:
        asked = {word for line in shown(page.read_text(encoding="utf-8")) for word in re.findall(r"\bmake ([a-z][a-z-]*)", line)}
        assert asked - TARGETS == set(), page.name


def test_continuous_integration_runs_two_commands_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[3:] == ["make check", "make test"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {"make check", "make test"} <= {line.partition("#")[0].strip() for line in shown(readme)}
