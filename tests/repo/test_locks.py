"""The lock files: every package pinned and hashed, no address, nothing missing that a package needs."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repo.tree import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WANTED = {
    "build": SETTINGS["build-system"]["requires"],
    "run": SETTINGS["project"]["dependencies"],
    "demo": SETTINGS["project"]["optional-dependencies"]["demo"] + SETTINGS["dependency-groups"]["model"],
    "dev": SETTINGS["dependency-groups"]["dev"],
}
ENTRY = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?: ; [^\\]+)? \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")
SETS = pytest.mark.parametrize("which", WANTED)


def text(which: str) -> str:
    return (ROOT / "requirements" / f"{which}.txt").read_text(encoding="utf-8")


def pins(which: str) -> dict[str, str]:
    return {entry["name"]: entry["version"] for entry in ENTRY.finditer(text(which))}


@SETS
def test_a_lock_holds_pinned_and_hashed_packages_and_nothing_else(which: str) -> None:
    assert ENTRY.sub("", text(which)) == ""
    assert pins(which)


@SETS
def test_a_lock_satisfies_pyproject(which: str) -> None:
    locked = pins("build") | pins("run") | pins(which)
    for wanted in map(Requirement, WANTED[which]):
        assert locked.get(wanted.name, "") in wanted.specifier, f"{wanted}: run `make lock`"


def test_no_two_locks_disagree() -> None:
    everything = {pin for which in WANTED for pin in pins(which).items()}
    assert len(everything) == len(dict(everything))


@pytest.mark.parametrize("together", [("build", "run"), ("build", "run", "dev")])
def test_sets_that_are_installed_without_resolving_lack_nothing(together: tuple[str, ...]) -> None:
    locked = {name for which in together for name in pins(which)}
    needed = {canonicalize_name(need.name) for name in locked for need in needs(name)}
    assert needed - locked == set()


def needs(name: str) -> list[Requirement]:
    """What an installed package asks for on this Python, no extra chosen."""
    try:
        asked = map(Requirement, requires(name) or ())
    except PackageNotFoundError:  # locked for another Python
        return []
    return [need for need in asked if need.marker is None or need.marker.evaluate({"extra": ""})]
