"""A preflight's headers: absent unless there are origins, empty unless the verdict is a preflight."""

import re

import pytest

from relay.edge.conf import Regex, Row
from relay.edge.cors import maps, preflight_headers
from relay.edge.scope import rows
from tests.unit.edge.edges import OPEN, policy


def test_without_origins_there_is_nothing() -> None:
    assert (maps(policy()), preflight_headers(policy())) == ((), ())


@pytest.mark.parametrize("result", ["edge_cors_headers", "edge_cors_methods", "edge_cors_age"])
def test_each_header_is_empty_but_for_a_preflight(result: str) -> None:
    found = rows(maps(policy(**OPEN)), result)
    assert list(found) == ["default", "preflight"]
    assert found["default"] == ""


def _pattern() -> str:
    (pattern,) = {
        row.key.pattern for table in maps(policy(**OPEN)) for row in table.body or () if isinstance(row, Row) and isinstance(row.key, Regex)
    }
    return pattern


@pytest.mark.parametrize("names", ["authorization", "a,b", "a, b", "x-stainless-os,x-stainless-lang", ",".join(["content-type"] * 64)])
def test_a_list_of_header_names_is_reflected(names: str) -> None:
    assert re.search(_pattern(), names)


@pytest.mark.parametrize("names", ["", ",", "a,", "a b", "a:b", "a\tb", "a;b", "é", "x" * 65, ",".join(["a"] * 65), "<a>", '"a"'])
def test_anything_else_is_not(names: str) -> None:
    assert not re.search(_pattern(), names)
