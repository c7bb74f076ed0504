"""Every file of tests/config_cases: bad settings, and each line that is said about them.

A case is NN-name.toml, the environment in NN-name.env where it has one, and NN-name.txt with what is found. To write the
expected lines anew: UPDATE_CASES=1 pytest tests/unit/config/test_golden_cases.py, then read the diff.
"""

import os
from pathlib import Path

import pytest

from relay.config.load import check
from tests.repo.tree import ROOT

CASES = sorted((ROOT / "tests" / "config_cases").glob("*.toml"))
UPDATE = "UPDATE_CASES" in os.environ


def environment(case: Path) -> dict[str, str]:
    """Read NAME=VALUE lines."""
    file = case.with_suffix(".env")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines)


def said(case: Path) -> str:
    verdict = check(Path(case.name), environment(case))
    assert (verdict.settings is None) == bool(verdict.problems)
    return "".join(f"{finding.kind} {finding}\n" for finding in (*verdict.problems, *verdict.notices))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_everything_that_is_wrong_with_a_file_is_said(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.parent)
    expected = case.with_suffix(".txt")
    if UPDATE:
        expected.write_text(said(case), encoding="utf-8")
    assert said(case) == expected.read_text(encoding="utf-8")


def test_no_case_is_without_a_finding_and_no_answer_without_a_case() -> None:
    folder = ROOT / "tests" / "config_cases"
    answers = {path.stem for path in folder.glob("*.txt") if path.read_text(encoding="utf-8")}
    assert answers == {case.stem for case in CASES}
    assert {path.suffix for path in folder.iterdir()} <= {".toml", ".txt", ".env"}
