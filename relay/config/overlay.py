"""Environment variables over the file: RELAY_SERVER_DRAIN sets drain of [server], RELAY_EDGE_TLS_MODE sets mode of [edge.tls].

Single values of [server] and [edge] have a variable each; channels and keys have none. A variable that is empty counts as
absent: that is how compose files pass on what was not set. One that sets nothing is noticed and does no harm, since
orchestrators make up variables from the names of services.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from relay.config.fields import OVERLAID, Setting, settings
from relay.config.findings import ENVIRONMENT, Notice, Where, closest, printable

_PREFIXES = tuple(f"RELAY_{table.upper()}_" for table in OVERLAID)
_NUMBER = re.compile(r"-?\d{1,15}", re.ASCII)
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

_ONE_API = {
    "SQL_DSN": "channels and keys are read from [[channel]] and [[key]] of the file",
    "INITIAL_ROOT_TOKEN": 'make a key with "relay key create NAME"',
    "RELAY_TIMEOUT": "set total_timeout of [server], or RELAY_SERVER_TOTAL_TIMEOUT",
}
"""Variables of one-api that still mean something here, and what takes their place."""


class Unread(str):
    """A text that should have been a number or a truth value. It is sure to be refused; its type says that quotes are not to blame."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Overlay:
    """The tables of the file with the variables laid over them."""

    tables: dict[str, object]
    variables: Mapping[Where, str]  # which settings came from which variable


def overlay(tables: Mapping[str, object], environ: Mapping[str, str]) -> Overlay:
    """Lay the variables over the tables of the file. Where the file has no table to lay them on, it stays as it is, and is refused."""
    laid = dict(tables)
    variables: dict[Where, str] = {}
    for setting in settings():
        value = environ.get(setting.variable or "", "").strip()
        if setting.variable and value and _put(laid, setting.path, _read(setting, value)):
            variables[setting.path] = setting.variable
    return Overlay(laid, variables)


def variable_notices(environ: Mapping[str, str]) -> Iterator[Notice]:
    """Notice variables that look as if they set something."""
    lists = {"_".join(("RELAY", *setting.path)).upper(): setting for setting in settings() if setting.is_list and not setting.table}
    known = {setting.variable for setting in settings() if setting.variable}
    for name in sorted(environ):
        if name in _ONE_API:
            yield Notice(ENVIRONMENT, None, name, "a setting of one-api, not read here", _ONE_API[name])
        elif name in lists:
            where = f"{lists[name].name} in the file"
            yield Notice(ENVIRONMENT, None, name, "has no effect: a list can't come from a variable", f"set {where}")
        elif name.startswith(_PREFIXES) and name not in known:
            yield Notice(ENVIRONMENT, None, printable(name), "has no effect: there is no such setting", _meant(name, known))


def _meant(name: str, known: set[str]) -> str | None:
    """Suggest a variable of the same table; what all names begin with must not make them alike."""
    prefix = next(each for each in _PREFIXES if name.startswith(each))
    meant = closest(name.removeprefix(prefix), [each.removeprefix(prefix) for each in known if each.startswith(prefix)], alike=0.75)
    return f"did you mean '{prefix}{meant.upper()}'" if meant else None


def _put(tables: dict[str, object], path: tuple[str, ...], value: object) -> bool:
    """Set one value, copying the tables on the way: the caller's are not ours to change."""
    for name in path[:-1]:
        below = tables.setdefault(name, {})
        if not isinstance(below, dict):
            return False
        tables[name] = tables = dict(below)
    tables[path[-1]] = value
    return True


def _read(setting: Setting, value: str) -> object:
    """Take a number or a truth value out of its text; whatever else it is, the schema judges it."""
    if setting.kind.word == "true or false":
        return _FLAGS.get(value.lower(), Unread(value))
    if setting.kind.word in {"whole number", "duration"} and _NUMBER.fullmatch(value):
        return int(value)
    return value if setting.kind.quoted else Unread(value)
