"""What the schema says about each setting, for those who speak about settings: complaints, variables and the manual.

Everything here is read off relay/config/schema.py; nothing about a single setting is known.
"""

import functools
import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from relay.config.findings import Where
from relay.config.kinds import Kind
from relay.config.schema import Part, Settings

OVERLAID = ("server", "edge")
"""Tables whose single values a variable can set."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, or one table of settings, as the schema declares it."""

    path: tuple[str, ...]  # ("channel", "base_url"): without a position
    field: FieldInfo

    @property
    def name(self) -> str:
        """Its last part."""
        return self.path[-1]

    @property
    def table(self) -> type[Part] | None:
        """The settings below it, when it is a table or a list of tables."""
        return _table(self.field.annotation)

    @property
    def is_list(self) -> bool:
        """Whether it holds several values, or several tables."""
        return get_origin(_without_none(self.field.annotation)) is tuple

    @property
    def kind(self) -> Kind:
        """What its values are. A table has none."""
        return _kind(self.field.annotation, self.field.metadata)

    @property
    def entry_kind(self) -> Kind:
        """What the entries of a list are."""
        return _kind(get_args(_without_none(self.field.annotation))[0])

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values there are, when they can be listed."""
        annotation = _without_none(self.field.annotation)
        return get_args(annotation) if get_origin(annotation) is Literal else ()

    @property
    def variable(self) -> str | None:
        """The environment variable that sets it: single values of [server] and [edge] have one."""
        if self.path[0] not in OVERLAID or self.table or self.is_list:
            return None
        return "_".join(("RELAY", *self.path)).upper()

    @property
    def heading(self) -> str:
        """How a table is opened in the file."""
        return f"[[{'.'.join(self.path)}]]" if self.is_list else f"[{'.'.join(self.path)}]"

    def bound(self, *names: str) -> str | None:
        """Write its bound of one of these names: ge, gt, le, lt, max_length."""
        found = [getattr(each, name) for each in self.field.metadata for name in names if hasattr(each, name)]
        return self.kind.text(found[0]) if found else None

    def toml(self, value: object) -> str:
        """Write a value as it stands in the file."""
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(map(self.toml, value))}]"
        text = self.kind.text(value) if not isinstance(value, str) else value
        return json.dumps(text, ensure_ascii=False) if self.kind.quoted else text

    @property
    def example(self) -> str | None:
        """Write the first example."""
        return self.toml(self.field.examples[0]) if self.field.examples else None


def settings(table: type[Part] = Settings, path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Walk the schema in the order of the file: each table, then what is in it."""
    for name, field in table.model_fields.items():
        setting = Setting((*path, name), field)
        yield setting
        if setting.table:
            yield from settings(setting.table, setting.path)


@functools.cache
def _by_path() -> dict[tuple[str, ...], Setting]:
    return {setting.path: setting for setting in settings()}


def setting_at(where: Where) -> Setting | None:
    """Find the setting that a place in a file belongs to; an entry of a list belongs to the list."""
    wanted = tuple(part for part in where if isinstance(part, str))
    while wanted and wanted not in _by_path():
        wanted = wanted[:-1]
    return _by_path().get(wanted)


def table_at(where: Where) -> type[Part] | None:
    """Find the table whose settings stand at a place in a file."""
    if not where:
        return Settings
    found = setting_at(where)
    return found.table if found and len(found.path) == sum(isinstance(part, str) for part in where) else None


def _without_none(annotation: object) -> object:
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _table(annotation: object) -> type[Part] | None:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return _table(get_args(annotation)[0]) if get_origin(annotation) is tuple else None


def _kind(annotation: object, metadata: list[object] | tuple[object, ...] = ()) -> Kind:
    for each in metadata:
        if isinstance(each, Kind):
            return each
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _kind(arguments[0], arguments[1:])
    if get_origin(annotation) in (Union, types.UnionType):
        return _kind(next(each for each in arguments if each is not type(None)))
    if get_origin(annotation) is Literal:
        return Kind(("one of " if len(arguments) > 1 else "") + ", ".join(f'"{each}"' for each in arguments))
    if get_origin(annotation) is tuple:
        entry = _kind(arguments[0])
        return Kind(f"list of {entry.word}s", entry.text, entry.quoted)
    msg = f"give this its kind in relay/config/kinds.py: {annotation}"
    raise TypeError(msg)
