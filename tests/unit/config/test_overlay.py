"""Variables over the file."""

import pytest

from relay.config.findings import Notice
from relay.config.overlay import Unread, overlay, variable_notices


def notices(**environ: str) -> dict[str, str]:
    return {notice.path: f"{notice.what}; {notice.hint}" for notice in variable_notices(environ)}


def test_a_variable_takes_the_place_of_the_file() -> None:
    laid = overlay({"server": {"drain": "5m", "tries": 3}}, {"RELAY_SERVER_DRAIN": "1m"})
    assert laid.tables == {"server": {"drain": "1m", "tries": 3}}
    assert laid.variables == {("server", "drain"): "RELAY_SERVER_DRAIN"}


def test_a_variable_reaches_tables_in_tables_and_makes_them() -> None:
    laid = overlay({}, {"RELAY_EDGE_TLS_MODE": "files", "RELAY_EDGE_RATE_LIMIT_PER_IP": "5/s", "RELAY_EDGE_DOMAIN": "a.b"})
    assert laid.tables == {"edge": {"tls": {"mode": "files"}, "rate_limit": {"per_ip": "5/s"}, "domain": "a.b"}}


def test_the_tables_of_the_file_are_left_as_they_are() -> None:
    tables = {"edge": {"tls": {"mode": "off"}}}
    overlay(tables, {"RELAY_EDGE_TLS_MODE": "files", "RELAY_SERVER_TRIES": "5"})
    assert tables == {"edge": {"tls": {"mode": "off"}}}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("RELAY_SERVER_TRIES", " 5 ", 5),
        ("RELAY_SERVER_DRAIN", "90", 90),
        ("RELAY_SERVER_DRAIN", "1m", "1m"),
        ("RELAY_SERVER_ANSWER_LIMIT", "1048576", "1048576"),
        ("RELAY_EDGE_HTTP10", "true", True),
        ("RELAY_EDGE_HTTP10", "OFF", False),
        ("RELAY_EDGE_HTTP10", "0", False),
        ("RELAY_SERVER_LISTEN", "127.0.0.1:80", "127.0.0.1:80"),
    ],
)
def test_a_text_becomes_what_the_setting_needs(name: str, text: str, value: object) -> None:
    laid = overlay({}, {name: text})
    (((table, setting), _),) = laid.variables.items()
    assert laid.tables == {table: {setting: value}}
    assert not isinstance(value, Unread)


@pytest.mark.parametrize(
    ("name", "text"), [("RELAY_SERVER_TRIES", "five"), ("RELAY_SERVER_TRIES", "9" * 5000), ("RELAY_EDGE_HTTP10", "perhaps")]
)
def test_a_text_that_can_not_become_that_is_kept_to_be_refused(name: str, text: str) -> None:
    ((settings),) = overlay({}, {name: text}).tables.values()
    assert isinstance(settings, dict)
    assert [type(value) for value in settings.values()] == [Unread]


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_counts_as_absent(text: str) -> None:
    laid = overlay({"server": {"drain": "5m"}}, {"RELAY_SERVER_DRAIN": text})
    assert (laid.tables, laid.variables) == ({"server": {"drain": "5m"}}, {})


@pytest.mark.parametrize("tables", [{"edge": 5}, {"edge": [{}]}, {"edge": {"tls": "off"}}], ids=str)
def test_a_table_that_is_none_is_left_to_be_refused(tables: dict[str, object]) -> None:
    laid = overlay(tables, {"RELAY_EDGE_TLS_MODE": "files"})
    assert (laid.tables, laid.variables) == (tables, {})


def test_a_variable_that_sets_nothing_is_noticed() -> None:
    assert notices(RELAY_SERVER_DRIAN="1m", RELAY_EDGE_COLOUR="5") == {
        "RELAY_EDGE_COLOUR": "has no effect: there is no such setting; None",
        "RELAY_SERVER_DRIAN": "has no effect: there is no such setting; did you mean 'RELAY_SERVER_DRAIN'",
    }


def test_a_variable_for_a_list_is_noticed() -> None:
    assert notices(RELAY_EDGE_CORS_ORIGINS="x") == {
        "RELAY_EDGE_CORS_ORIGINS": "has no effect: a list can't come from a variable; set cors_origins in the file"
    }


def test_other_variables_are_nobodys_business() -> None:
    assert (
        notices(RELAY_CONFIG="x", RELAY_ADMIN_PASSWORD_FILE="x", RELAY_KEY_1="x", PATH="x", RELAY_SERVER_DRAIN="1m", RELAY_SERVER="x") == {}
    )


def test_a_variable_of_one_api_is_answered_with_what_takes_its_place() -> None:
    assert "[[channel]]" in notices(SQL_DSN="root:secret@db")["SQL_DSN"]
    assert "secret" not in str(notices(SQL_DSN="root:secret@db"))


def test_a_name_that_no_terminal_can_show_is_escaped() -> None:
    (notice,) = variable_notices({"RELAY_SERVER_\udcff\n": "x"})
    assert isinstance(notice, Notice)
    assert str(notice).isprintable()
