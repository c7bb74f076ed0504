"""deploy/relay.toml: good as it is, complete, and its defaults are the defaults."""

import re
import tomllib
from pathlib import Path
from typing import Any

from relay.config.fields import settings
from relay.config.load import Verdict, check_text
from relay.config.sample import sample
from relay.config.schema import Edge, Server

HERE = Path("relay.toml")
ENVIRON = {"UPSTREAM_KEY": "sk-1"}
ALL = re.sub(r"^#(?=[\[\w])", "", sample().partition("\n")[2], flags=re.MULTILINE)
"""The sample with every setting live."""


def checked(text: str) -> Verdict:
    return check_text(text, ENVIRON, path=HERE, resolve=False)


def test_it_is_good_as_it_is() -> None:
    verdict = check_text(sample(), ENVIRON, path=HERE)
    assert verdict.problems == ()
    assert [notice.path for notice in verdict.notices] == ["key"]


def test_it_is_good_with_every_setting_live() -> None:
    verdict = checked(ALL.replace('mode = "off"', 'mode = "files"'))
    assert verdict.problems == ()


def test_it_has_every_setting() -> None:
    tables: dict[str, Any] = tomllib.loads(ALL)
    for setting in settings():
        at: Any = tables
        for name in setting.path:
            at = at[name][0] if isinstance(at[name], list) and setting.path[-1] != name else at[name]
        assert at is not None


def test_what_is_not_an_example_is_the_default() -> None:
    given: dict[str, Any] = tomllib.loads(ALL)
    nothing = {setting.path for setting in settings() if not setting.table and setting.field.get_default() in (None, ())}
    for table, model in (("server", Server), ("edge", Edge)):
        values = {name: value for name, value in given[table].items() if (table, name) not in nothing and name != "tls"}
        assert model.model_validate(values) == model()


def test_it_fits_a_narrow_window() -> None:
    assert [line for line in sample().splitlines()[6:] if line.startswith("# ") and len(line) > 102] == []
