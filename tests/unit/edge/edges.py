"""Builders: policies and trees of edges, and the ways to weaken one."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from relay.config.schema import Settings
from relay.edge.conf import Directive, Node, Regex, Row, Word
from relay.edge.facts import Facts
from relay.edge.nginx import nginx_tree
from relay.edge.policy import EdgePolicy, edge_policy
from relay.edge.process import Site
from relay.edge.profiles import WRITTEN
from relay.edge.scope import Tree

HOME = Path("/etc/postgate")
SITE = Site(Path("/var/lib/postgate/edge"))
FACTS = WRITTEN
BARE = replace(
    FACTS, http2="none", tls=False, reject_handshake=False, curves=(), max_headers=False, real_ip=False, stub_status=False, ipv6=False
)
"""The least that an nginx can do and still serve."""

TLS = {"mode": "files", "certificate": "chain.pem", "key": "key.pem"}
OPEN = {"allow_get_models": True, "cors_origins": ["https://chat.example.com"], "upgrade_426": True, "http10": True}
"""Every opt-in."""

Weaken = Callable[[Tree], Tree]


def settings(*, server: object = None, **edge: object) -> Settings:
    return Settings.model_validate({"server": server or {}, "edge": {"domain": "llm.example.com", **edge}})


def policy(*, server: object = None, **edge: object) -> EdgePolicy:
    return edge_policy(settings(server=server, **edge), HOME)


def tree(facts: Facts = FACTS, site: Site = SITE, /, **edge: object) -> Tree:
    return nginx_tree(policy(**edge), facts, site)


def without(name: str) -> Weaken:
    """Leave out every directive of this name."""
    return lambda whole: _each(whole, lambda node: () if node.name == name else (node,))


def saying(name: str, *words: Word) -> Weaken:
    """Give every directive of this name other words."""
    return lambda whole: _each(whole, lambda node: (replace(node, words=words),) if node.name == name else (node,))


def with_more(block: str, *nodes: Node, first: bool = False) -> Weaken:
    """Add to every block of this name, "location = /v1/embeddings" for instance."""

    def add(node: Directive) -> tuple[Directive, ...]:
        if " ".join((node.name, *map(str, node.words))) != block or node.body is None:
            return (node,)
        return (replace(node, body=(*nodes, *node.body) if first else (*node.body, *nodes)),)

    return lambda whole: _each(whole, add)


def less(block: str, name: str) -> Weaken:
    """Take the directives of a name out of one block."""

    def take(node: Directive) -> tuple[Directive, ...]:
        if " ".join((node.name, *map(str, node.words))) != block or node.body is None:
            return (node,)
        return (replace(node, body=tuple(inner for inner in node.body if not (isinstance(inner, Directive) and inner.name == name))),)

    return lambda whole: _each(whole, take)


def mapping(result: str, key: str | Regex | None, value: Word) -> Weaken:
    """Set one row of the map that sets this variable."""

    def change(node: Directive) -> tuple[Directive, ...]:
        if node.name != "map" or getattr(node.words[1], "name", "") != result:
            return (node,)
        kept = tuple(row for row in node.body or () if isinstance(row, Row) and row.key != key)
        return (replace(node, body=(*kept, Row(key, value))),)

    return lambda whole: _each(whole, change)


def _each(nodes: Iterable[Node], change: Callable[[Directive], tuple[Directive, ...]]) -> tuple[Directive, ...]:
    """Rebuild a tree from the inside out. Rows of maps stay as they are."""
    rebuilt: list[Node] = []
    for node in nodes:
        if isinstance(node, Row):
            rebuilt.append(node)
        else:
            rebuilt += change(node if node.body is None else replace(node, body=_each(node.body, change)))
    return tuple(rebuilt)  # type: ignore[arg-type] # the top level holds directives only, an inner one what its block held
