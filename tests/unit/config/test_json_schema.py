"""The schema that editors use."""

import json
from collections.abc import Iterator
from typing import Any

from relay.config.fields import settings
from relay.config.json_schema import json_schema

SCHEMA: dict[str, Any] = json.loads(json_schema())


def nodes(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(inner)


def shown(*path: str) -> dict[str, Any]:
    at = SCHEMA
    for name in path:
        at = at["properties"][name]
        reference = at.get("items", at).get("$ref")
        at = SCHEMA["$defs"][reference.rpartition("/")[2]] if reference else at
    return at


def test_every_setting_is_in_it_with_its_prose() -> None:
    for setting in settings():
        assert shown(*setting.path)["description"]


def test_an_unknown_setting_is_an_error_in_every_table() -> None:
    tables = [SCHEMA, *SCHEMA["$defs"].values()]
    assert [table for table in tables if table["additionalProperties"] is not False] == []


def test_it_has_nothing_that_toml_can_not_say() -> None:
    assert [node for node in nodes(SCHEMA) if node.get("type") == "null" or node.get("default", 0) is None] == []


def test_it_has_only_words_of_json_schema() -> None:
    known = {
        *("$schema", "$defs", "$ref", "title", "description", "type", "properties", "required", "additionalProperties", "items", "enum"),
        *("const", "default", "examples", "pattern", "format", "anyOf", "minimum", "maximum", "minItems", "maxItems", "minProperties"),
    }
    tables = [SCHEMA, *SCHEMA["$defs"].values()]
    words = {word for table in tables for setting in table["properties"].values() for node in nodes(setting) for word in node}
    assert words | {word for table in tables for word in table} <= known


def test_defaults_are_written_as_in_the_file() -> None:
    assert shown("server", "drain")["default"] == "5m"
    assert shown("edge", "rate_limit", "per_ip")["default"] == "10/s"
    assert shown("edge", "body_limit")["default"] == "20m"
    assert shown("edge", "http10")["default"] is False
    assert shown("channel", "keys")["default"] == []
    assert "default" not in shown("edge", "listen")


def test_a_channel_needs_what_it_needs() -> None:
    assert shown("channel")["required"] == ["name", "base_url", "models"]
    assert len(shown("channel", "models")["anyOf"]) == 2
