"""The shipped examples: what is checked in is what the generator gives, and their settings hold together."""

import pytest

from relay.config.ladder import broken_rungs
from relay.edge.profiles import USERS, profile_settings, profiles
from tests.repo.tree import ROOT

FOLDER = ROOT / "nginx" / "profiles"


@pytest.mark.parametrize("name", USERS)
def test_the_checked_in_file_is_what_the_generator_gives(name: str) -> None:
    path = FOLDER / name / "nginx.conf"
    assert path.read_text(encoding="utf-8") == profiles(FOLDER)[path], "run `make nginx` and review the difference"


def test_every_folder_is_a_profile_and_holds_nothing_else() -> None:
    assert {path.name for path in (FOLDER).iterdir()} == set(USERS)
    for name in USERS:
        assert {path.name for path in (FOLDER / name).iterdir()} == {"relay.toml", "nginx.conf"}


@pytest.mark.parametrize("name", USERS)
def test_a_profiles_settings_hold_together(name: str) -> None:
    assert list(broken_rungs(profile_settings(FOLDER, name))) == []
