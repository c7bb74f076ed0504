"""The shape of the file: defaults, what is refused, and that a secret is not shown."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from relay.config.ladder import broken_rungs
from relay.config.schema import Settings
from tests.support.settings import CHANNEL, KEY, settings


def complaint(tables: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(tables)
    return str(refused.value)


def test_an_empty_file_has_defaults_that_agree() -> None:
    assert list(broken_rungs(Settings())) == []


def test_settings_are_written_back_as_people_write_them() -> None:
    written = settings(edge={"real_ip_from": ["10.0.0.0/8"]}).model_dump(mode="json")
    assert (written["server"]["drain"], written["edge"]["body_limit"]) == ("5m", "20m")
    assert (written["edge"]["rate_limit"]["per_ip"], written["edge"]["real_ip_from"]) == ("10/s", ["10.0.0.0/8"])


def test_settings_survive_being_written_and_read() -> None:
    once = settings(
        server={"drain": "1500ms"}, channels=({"models": {"ours": "theirs"}, "idle_timeout": "30s"},), keys=({"expires": "2027-12-31"},)
    )
    assert Settings.model_validate(once.model_dump(mode="json")) == once


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        settings().server.tries = 4  # type: ignore[misc]


def test_a_representation_shows_no_secret() -> None:
    shown = settings(channels=({"keys": [SecretStr("sk-very-secret")]},))
    assert "sk-very-secret" not in repr(shown) + str(shown) + shown.model_dump_json()


@pytest.mark.parametrize("table", ["server", "edge"])
def test_an_unknown_setting_is_refused(table: str) -> None:
    assert "Extra inputs are not permitted" in complaint({table: {"colour": "red"}})


def test_a_refusal_does_not_show_what_was_refused() -> None:
    assert "sk-secret" not in complaint(
        {"server": {"listen": "sk-secret"}, "channel": [{"keys": "sk-secret"}], "key": [{"hash": "sk-secret"}]}
    )


@pytest.mark.parametrize("tls", [{"mode": "files"}, {"mode": "files", "key": "k"}, {"certificate": "c"}, {"mode": "off", "key": "k"}])
def test_certificate_files_and_their_mode_go_together(tls: dict[str, str]) -> None:
    assert "mode" in complaint({"edge": {"tls": tls}})


@pytest.mark.parametrize("name", ["name", "hash"])
def test_no_two_keys_have_the_same(name: str) -> None:
    other = {"name": "bob", "hash": "sha256:" + "cd" * 32}
    assert f"[[key]] {name}" in complaint({"key": [KEY, {**other, name: KEY[name]}]})


def test_no_two_channels_have_the_same_name() -> None:
    assert "[[channel]] name" in complaint({"channel": [CHANNEL, CHANNEL]})
