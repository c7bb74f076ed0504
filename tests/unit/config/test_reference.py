"""The generated manual and the files beside it."""

import re
from pathlib import Path

from relay.config.fields import settings
from relay.config.ladder import RUNGS
from relay.config.load import check_text
from relay.config.reference import manual, reference_files
from tests.repo.tree import ROOT


def rows(text: str) -> dict[str, tuple[str, ...]]:
    """Settings of the manual's tables by heading and name."""
    found: dict[str, tuple[str, ...]] = {}
    for section in text.split("\n## ")[1:]:
        heading = section.partition("\n")[0].strip("`[]")
        found.update(
            {
                f"{heading}.{row[0].strip('`')}": row
                for row in re.findall(r"^\| (`\w+`) \| (.+?) \| (.+?) \| (.+) \|$", section, re.MULTILINE)
            }
        )
    return found


def test_what_is_in_the_repository_is_what_would_be_written() -> None:
    stale = [path for path, text in reference_files().items() if (ROOT / path).read_text(encoding="utf-8") != text]
    assert stale == [], "run `make docs`"


def test_every_setting_is_in_the_manual_with_its_prose_and_its_variable() -> None:
    written = rows(manual())
    singles = {".".join(setting.path): setting for setting in settings() if not setting.table}
    assert set(written) == set(singles)
    for path, (_, value, default, meaning) in written.items():
        assert str(singles[path].field.description) in meaning
        assert (f"`{singles[path].variable}`" in meaning) == bool(singles[path].variable)
        assert value.startswith(singles[path].kind.word)
        assert default


def test_bounds_and_defaults_are_in_the_manual() -> None:
    written = rows(manual())
    assert written["server.tries"][1:3] == ("whole number, 1 to 10", "`3`")
    assert written["server.connect_timeout"][1:3] == ("duration, more than 0s, at most 1m", '`"5s"`')
    assert written["edge.cors_origins"][1:3] == ("list of web origins, at most 64", "empty")
    assert written["edge.listen"][2] == "absent"
    assert written["channel.name"][2] == "must be given"


def test_every_rung_of_the_ladder_is_in_the_manual() -> None:
    assert [rung for rung in RUNGS if f"`{rung.setting}` must be {rung.must_be} {rung.than}, else {rung.why}." not in manual()] == []


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", manual(), re.MULTILINE)
    assert [table for table in tables if len({row.count(" | ") for row in table.splitlines()}) != 1] == []


def test_the_messages_that_the_manual_shows_are_the_real_ones() -> None:
    shown = manual().rpartition("## Messages")[2].split("```")[1].strip().splitlines()
    text = '\n\n[server]\nwokers = 4\n\n\n\n\n\n\n[[channel]]\nkeys = ["env:UPSTREAM_KEY"]\n'
    verdict = check_text(text, {"RELAY_SERVER_TRIES": "11"}, path=Path("relay.toml"))
    assert set(shown) <= {str(problem) for problem in verdict.problems}


def test_the_file_that_the_manual_begins_with_is_a_good_one() -> None:
    text = manual().partition("```toml\n")[2].partition("```")[0].replace("sha256:…", "sha256:" + "ab" * 32)
    verdict = check_text(text, {"UPSTREAM_KEY": "sk-1"}, path=Path("relay.toml"))
    assert (verdict.problems, verdict.notices) == ((), ())
