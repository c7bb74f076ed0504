"""What the schema says of each setting, read off it."""

import pytest

from relay.config.fields import setting_at, settings, table_at
from relay.config.schema import Channel, Edge, RateLimit, Settings

PATHS = {".".join(setting.path): setting for setting in settings()}


def test_the_walk_goes_in_the_order_of_the_file_and_into_every_table() -> None:
    assert list(PATHS)[:3] == ["server", "server.listen", "server.admin"]
    assert {"edge.tls.mode", "edge.rate_limit.per_ip", "channel.keys", "key.hash"} <= set(PATHS)


def test_every_setting_has_prose_and_every_single_one_a_kind() -> None:
    assert [path for path, setting in PATHS.items() if not setting.field.description] == []
    assert [path for path, setting in PATHS.items() if not setting.table and not setting.kind.word] == []


def test_a_setting_without_default_or_with_none_has_an_example() -> None:
    bare = [path for path, setting in PATHS.items() if not setting.table and setting.field.get_default() in (None, ())]
    assert [path for path in bare if not PATHS[path].example] == []


def test_what_it_means_that_a_setting_is_not_there_is_said() -> None:
    optional = {path: setting for path, setting in PATHS.items() if not setting.table and not setting.field.is_required()}
    said = {path: str(setting.field.description) for path, setting in optional.items() if setting.field.get_default() in (None, ())}
    assert [path for path, prose in said.items() if "Absent: " not in prose and "Empty: " not in prose] == []


@pytest.mark.parametrize(
    ("path", "word", "example"),
    [
        ("server.drain", "duration", None),
        ("server.log_level", 'one of "debug", "info", "warning", "error"', None),
        ("edge.cors_origins", "list of web origins", '["https://chat.example.com"]'),
        ("channel.type", '"openai"', None),
        ("channel.models", "list or table of model names", '["gpt-5-mini"]'),
        ("channel.idle_timeout", "duration", '"5m"'),
        ("key.expires", "date", "2027-12-31"),
        ("key.enabled", "true or false", None),
    ],
)
def test_a_setting_knows_its_kind_and_an_example(path: str, word: str, example: str | None) -> None:
    assert (PATHS[path].kind.word, PATHS[path].example) == (word, example)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("server.drain", '"5m"'),
        ("edge.body_limit", '"20m"'),
        ("edge.rate_limit.per_ip", '"10/s"'),
        ("server.tries", "3"),
        ("edge.http10", "false"),
        ("channel.keys", "[]"),
        ("server.listen", '"unix:run/relay.sock"'),
    ],
)
def test_a_default_is_written_as_in_the_file(path: str, text: str) -> None:
    assert PATHS[path].toml(PATHS[path].field.get_default()) == text


def test_a_bound_is_written_like_the_value() -> None:
    assert (PATHS["server.drain"].bound("ge"), PATHS["server.drain"].bound("le")) == ("0s", "1d")
    assert (PATHS["channel.idle_timeout"].bound("gt"), PATHS["edge.body_limit"].bound("le")) == ("0s", "1g")
    assert (PATHS["edge.cors_origins"].bound("max_length"), PATHS["server.listen"].bound("le")) == ("64", None)


def test_single_values_of_server_and_edge_have_a_variable() -> None:
    variables = {path: setting.variable for path, setting in PATHS.items() if setting.variable}
    assert variables["edge.rate_limit.per_ip"] == "RELAY_EDGE_RATE_LIMIT_PER_IP"
    assert len(set(variables.values())) == len(variables)
    assert {path.partition(".")[0] for path in variables} == {"server", "edge"}
    assert not {"edge", "edge.tls", "edge.cors_origins", "edge.real_ip_from"} & set(variables)


def test_a_place_in_a_file_leads_to_its_setting() -> None:
    assert setting_at(("channel", 3, "keys", 1)) == PATHS["channel.keys"]
    assert setting_at(("channel", 3, "models", "gpt", "[key]")) == PATHS["channel.models"]
    assert setting_at(("edge", "tls", "mode")) == PATHS["edge.tls.mode"]
    assert setting_at(("colour",)) is None


def test_a_place_in_a_file_leads_to_its_table() -> None:
    assert table_at(()) is Settings
    assert table_at(("edge",)) is Edge
    assert table_at(("channel", 3)) is Channel
    assert table_at(("edge", "rate_limit")) is RateLimit
    assert table_at(("edge", "domain")) is None
    assert table_at(("edge", "colour")) is None
    assert table_at(("colour", "red")) is None


def test_a_heading_is_written_as_in_the_file() -> None:
    assert (PATHS["channel"].heading, PATHS["edge.tls"].heading) == ("[[channel]]", "[edge.tls]")
