"""Settings that can't be right together."""

from typing import Any

import pytest

from relay.config.agreement import disagreements, given_twice
from tests.support.settings import CHANNEL, KEY, settings


def test_settings_that_agree_are_left_alone() -> None:
    assert list(disagreements(settings())) == []
    assert list(given_twice({"channel": [CHANNEL], "key": [KEY]})) == []


def test_what_is_given_twice_is_refused_with_the_first_place() -> None:
    found = list(given_twice({"channel": [CHANNEL, {"name": "other"}, CHANNEL], "key": [KEY, {**KEY, "name": "bob"}]}))
    assert [(remark.path, remark.first) for remark in found] == [
        (("channel", 2, "name"), ("channel", 0, "name")),
        (("key", 1, "hash"), ("key", 0, "hash")),
    ]


@pytest.mark.parametrize(
    "tables", [{}, {"channel": 5}, {"channel": {"name": "a"}}, {"channel": [5, {"name": 5}, {"name": 5}, {}, {}]}], ids=str
)
def test_what_has_another_shape_is_left_to_the_schema(tables: dict[str, Any]) -> None:
    assert list(given_twice(tables)) == []


def test_a_broken_rung_is_a_disagreement() -> None:
    assert [remark.path for remark in disagreements(settings(channels=({"idle_timeout": "15m"},)))] == [("edge", "read_timeout")]


@pytest.mark.parametrize(
    ("listen", "admin", "public", "blamed"),
    [
        ("127.0.0.1:8101", "127.0.0.1:8101", None, ["server.admin"]),
        ("unix:/a", "unix:/a", None, ["server.admin"]),
        ("127.0.0.1:8100", "*:8101", "192.0.2.1:8101", ["edge.listen"]),
        ("[::1]:80", "0.0.0.0:080", "[::]:0080", ["server.admin", "edge.listen", "edge.listen"]),
        ("127.0.0.1:8100", "127.0.0.2:8100", "127.0.0.3:8100", []),
        ("127.0.0.1:0", "127.0.0.1:0", None, []),
        ("unix:/a", "unix:/b", "127.0.0.1:8100", []),
    ],
)
def test_no_two_listen_on_one_address(listen: str, admin: str, public: str | None, blamed: list[str]) -> None:
    edge = {} if public is None else {"listen": public}
    assert [".".join(map(str, remark.path)) for remark in disagreements(settings({"listen": listen, "admin": admin}, edge))] == blamed
