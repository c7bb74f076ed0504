"""The whole tree: route table, keys and locations are one; hashes have room; each opt-in and each fact changes only its own lines."""

import difflib
from dataclasses import replace

import pytest

from relay.domain.endpoints import ENDPOINTS
from relay.edge.conf import print_tree, walk
from relay.edge.facts import Facts
from relay.edge.scope import proxied, public_servers, rows, words
from tests.unit.edge.edges import BARE, FACTS, OPEN, TLS, policy, tree


def test_route_table_map_keys_and_locations_are_the_same() -> None:
    paths = [endpoint.path for endpoint in ENDPOINTS]
    assert [key.split()[1] for key in rows(tree(), "edge_line") if key != "default"] == paths
    assert [words(location.block)[-1] for location in proxied(tree())] == paths


def test_each_location_has_the_body_limit_of_its_path() -> None:
    limits = {words(location.block)[-1]: location.value("client_max_body_size") for location in proxied(tree(**OPEN, body_limit="3m"))}
    assert limits == {**{endpoint.path: "3m" for endpoint in ENDPOINTS}, "/v1/models": "1k"}


@pytest.mark.parametrize(
    ("edge", "listens"),
    [
        ({}, ["80 default_server", "[::]:80 default_server", "80", "[::]:80"]),
        ({"listen": "127.0.0.1:8080"}, ["127.0.0.1:8080 default_server", "127.0.0.1:8080"]),
        ({"listen": "127.0.0.1:8443", "tls": TLS}, ["127.0.0.1:8443 ssl default_server", "127.0.0.1:8443 ssl"]),
        (
            {"tls": TLS},
            [
                *("443 ssl default_server", "[::]:443 ssl default_server", "443 ssl", "[::]:443 ssl"),
                *("80 default_server", "[::]:80 default_server", "80", "[::]:80"),
            ],
        ),
    ],
)
def test_it_listens_where_the_policy_says(edge: dict[str, object], listens: list[str]) -> None:
    assert [" ".join(words(listen)) for server in public_servers(tree(**edge)) for listen in server.own("listen")] == listens


def test_without_ipv6_nothing_listens_on_it() -> None:
    assert "[::]" not in print_tree(tree(replace(FACTS, ipv6=False), tls=TLS))


def _changed(facts: Facts) -> set[str]:
    """First words of the lines that differ from an edge with every fact."""
    before, after = (print_tree(tree(each)).splitlines() for each in (FACTS, facts))
    changed = (line for line in difflib.ndiff(before, after) if line[0] in "+-" and line[1:].strip())
    return {line[1:].split()[0] for line in changed}


def test_a_bare_nginx_gets_the_same_edge_without_what_it_lacks() -> None:
    assert _changed(BARE) == {"max_headers", "listen", "location", "stub_status;", "}"}


def test_hashes_have_room_for_the_longest_key() -> None:
    origin = f"https://{'a' * 60}.{'b' * 60}.{'c' * 60}.example.com"
    sizes = {node.name: words(node) for node, _ in walk(tree(cors_origins=[origin], domain=f"{'a' * 60}.{'b' * 60}.{'c' * 60}.com"))}
    assert sizes["map_hash_bucket_size"] == ("256",)
    assert sizes["server_names_hash_bucket_size"] == ("256",)


def test_every_group_of_directives_says_why_it_is_there() -> None:
    for node, above in walk(tree(**OPEN, tls=TLS)):
        if len(above) == 1 and above[0].name == "http" and node.body is not None and node.name != "types":
            first = next(each for each in above[0].body or () if getattr(each, "name", "") == node.name)
            assert getattr(first, "why", ""), node.name


def test_nothing_in_it_depends_on_the_order_of_a_set() -> None:
    assert tree(**OPEN, tls=TLS) == tree(**OPEN, tls=TLS)
    assert policy(**OPEN) == policy(**OPEN)
