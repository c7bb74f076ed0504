"""Reading a directive tree the way nginx applies it: a place in the tree, and what is in force there.

For the audit's rules. A directive set in an inner block replaces all outer ones of its name; that is nginx's inheritance,
and for `add_header`, `proxy_set_header` and `error_page` it is the best-known way to lose some.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from relay.edge.conf import Directive, Row, key_text, plain, walk

Tree = tuple[Directive, ...]


@dataclass(frozen=True)
class Scope:
    """A block with the blocks around it, outermost first."""

    block: Directive
    above: tuple[Directive, ...]

    @cached_property
    def title(self) -> str:
        """Where this is, in words."""
        return " > ".join(_title(block) for block in (*self.above, self.block) if block.name != "http")

    def own(self, name: str) -> tuple[Directive, ...]:
        """Directives of this name that stand in the block itself."""
        return tuple(node for node in self.block.body or () if isinstance(node, Directive) and node.name == name)

    def in_force(self, name: str) -> tuple[tuple[str, ...], ...]:
        """Words of the directives of this name that hold here: those of the innermost block that has any."""
        for block in (self.block, *reversed(self.above)):
            found = tuple(words(node) for node in block.body or () if isinstance(node, Directive) and node.name == name)
            if found:
                return found
        return ()

    def value(self, name: str) -> str:
        """All words of the one directive of this name that holds here; empty if none or several do."""
        found = self.in_force(name)
        return " ".join(found[0]) if len(found) == 1 else ""

    @property
    def proxies(self) -> bool:
        """Whether requests are forwarded from here."""
        return bool(self.own("proxy_pass"))


def words(directive: Directive) -> tuple[str, ...]:
    """Words of a directive as nginx has them in memory."""
    return tuple(plain(word) for word in directive.words)


def scopes(tree: Tree, name: str) -> Iterator[Scope]:
    """Yield every block of this name."""
    yield from (Scope(directive, above) for directive, above in walk(tree) if directive.name == name and directive.body is not None)


def proxied(tree: Tree) -> Iterator[Scope]:
    """Yield every location that forwards."""
    yield from (location for location in scopes(tree, "location") if location.proxies)


def public_servers(tree: Tree) -> Iterator[Scope]:
    """Yield every server that can be reached over the network."""
    yield from (server for server in scopes(tree, "server") if not _is_private(server))


def rows(tree: Tree, result: str) -> dict[str, str]:
    """Give a map by the variable it sets: printed key -> printed value. Empty if there is no such map, or more than one."""
    found = [block for block, _ in walk(tree) if block.name == "map" and words(block)[1:] == (f"${result}",)]
    if len(found) != 1:
        return {}
    return {key_text(row.key): plain(row.value) for row in found[0].body or () if isinstance(row, Row)}


def _is_private(server: Scope) -> bool:
    listens = [words(node)[0] for node in server.own("listen")]
    return bool(listens) and all(address.startswith("unix:") for address in listens)


def _title(block: Directive) -> str:
    if block.name == "server":
        named = next(
            (" ".join(words(node)) for node in block.body or () if isinstance(node, Directive) and node.name == "server_name"), "default"
        )
        return f"server {named}"
    return " ".join((block.name, *words(block)))
