"""Settings that are each right and can't be right together: names given twice, listeners on one address, rungs of the ladder."""

from collections.abc import Iterator, Mapping

from relay.config.findings import Remark, Where
from relay.config.ladder import broken_rungs
from relay.config.schema import Settings

_UNIQUE = (("channel", "name"), ("key", "name"), ("key", "hash"))
_EVERYWHERE = {"*", "0.0.0.0", "[::]"}  # noqa: S104 - the words of the settings for every address


def given_twice(tables: Mapping[str, object]) -> Iterator[Remark]:
    """Refuse a name or a hash that an earlier table has. Looks at the plain tables, so that it is said beside all that the schema says."""
    for table, name in _UNIQUE:
        first: dict[str, int] = {}
        entries = tables.get(table)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            value = entry.get(name) if isinstance(entry, dict) else None
            if isinstance(value, str) and first.setdefault(value, number) != number:
                there: Where = (table, first[value], name)
                yield Remark((table, number, name), f"another [[{table}]] has the same {name}", first=there)


def disagreements(settings: Settings) -> Iterator[Remark]:
    """Refuse what only shows when all settings are known."""
    for setting, what in broken_rungs(settings):
        yield Remark(tuple(setting.split(".")), what)
    listeners = [("server.listen", settings.server.listen), ("server.admin", settings.server.admin), ("edge.listen", settings.edge.listen)]
    for at, (name, address) in enumerate(listeners):
        for earlier, taken in listeners[:at]:
            if address is not None and taken is not None and _collide(address, taken):
                yield Remark(tuple(name.split(".")), f"is the same address as {earlier}", "give each its own")


def _collide(one: str, other: str) -> bool:
    if one.startswith("unix:") or other.startswith("unix:"):
        return one == other
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    if int(port) != int(other_port) or int(port) == 0:
        return False
    return host == other_host or bool({host, other_host} & _EVERYWHERE)
