"""The JSON Schema of relay.toml, for editors: `#:schema ./relay.schema.json` on the first line of a file gives completion and checks.

An editor knows shapes, names and patterns. What only the relay can judge (references, agreement of numbers) is left to it.
"""

import json
import tomllib
from typing import Any

from relay.config.fields import Setting, settings
from relay.config.schema import Settings

_NOT_JSON_SCHEMA = {"gt", "ge", "lt", "le"}  # pydantic's own words, where a pattern of ours took the place of its schema


def json_schema() -> str:
    """Write the schema."""
    schema = _plain(Settings.model_json_schema())
    for setting in settings():
        if not setting.table:
            _show_default(_properties_of(schema, setting)[setting.name], setting)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "relay.toml of Postgate"}
    return json.dumps(head | schema, indent=2, ensure_ascii=False) + "\n"


def _properties_of(schema: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Find the table that a setting is in, following its path through the named tables."""
    at = schema
    for name in setting.path[:-1]:
        below = at["properties"][name]
        reference = below["items"]["$ref"] if "items" in below else below["$ref"]
        at = schema["$defs"][reference.rpartition("/")[2]]
    properties: dict[str, Any] = at["properties"]
    return properties


def _show_default(shown: dict[str, Any], setting: Setting) -> None:
    """Put the default as it would be written in the file; TOML has no word for nothing."""
    default = setting.field.get_default()
    shown.pop("default", None)
    if not setting.field.is_required() and default is not None:
        shown["default"] = tomllib.loads(f"it = {setting.toml(default)}")["it"]


def _plain(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """Take out what is not JSON Schema, the titles that only repeat names, and null, which TOML doesn't have."""
    if isinstance(node, list):
        return [_plain(each) for each in node if each != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    is_title = isinstance(node.get("title"), str)  # else it is a setting of that name
    dropped = _NOT_JSON_SCHEMA | ({"title"} if is_title else set())
    kept = {name: _plain(each) for name, each in node.items() if name not in dropped}
    if len(kept.get("anyOf", ())) == 1:
        (only,) = kept.pop("anyOf")
        kept = only | kept
    return kept
