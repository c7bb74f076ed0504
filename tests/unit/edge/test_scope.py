"""Reading a tree as nginx applies it: the innermost block that has a directive decides, for all of that name."""

from relay.edge.conf import Regex, Text, Var, block, line, table
from relay.edge.scope import Scope, Tree, proxied, public_servers, rows, scopes, words

LOCATION = block("location", "=", "/a", body=(line("add_header", "C", "d"), line("proxy_pass", "http://relay")))
SERVER = block("server", body=(line("listen", 80), line("server_name", "x"), line("add_header", "A", "b"), line("gzip", "off"), LOCATION))
PRIVATE = block("server", body=(line("listen", "unix:/run/x.sock"),))
TREE: Tree = (block("http", body=(line("gzip", "on"), line("add_header", "Z", "z"), SERVER, PRIVATE)),)


def _location() -> Scope:
    return next(proxied(TREE))


def test_the_innermost_block_that_has_a_name_replaces_all_outer_ones() -> None:
    assert _location().in_force("add_header") == (("C", "d"),)
    assert _location().value("gzip") == "off"
    assert _location().in_force("absent") == ()


def test_a_value_that_stands_twice_is_none() -> None:
    server = Scope(block("server", body=(line("a", 1), line("a", 2))), ())
    assert server.value("a") == ""


def test_a_place_says_where_it_is() -> None:
    assert _location().title == "server x > location = /a"
    assert [server.title for server in scopes(TREE, "server")] == ["server x", "server default"]


def test_only_a_location_that_forwards_is_proxied() -> None:
    assert [location.block for location in proxied(TREE)] == [LOCATION]


def test_a_server_on_a_unix_socket_is_not_public() -> None:
    assert [server.block for server in public_servers(TREE)] == [SERVER]


def test_a_server_that_listens_nowhere_is_public_since_nginx_then_takes_port_80() -> None:
    assert [server.block for server in public_servers((block("server", body=()),))] == [block("server", body=())]


def test_an_upstreams_server_line_is_no_server() -> None:
    assert list(scopes((block("upstream", "relay", body=(line("server", "127.0.0.1:1"),)),), "server")) == []


def test_a_map_is_read_by_the_variable_it_sets() -> None:
    tree = (table(Var("x"), "y", [("a", Var("z")), (Regex("^b"), "1")], otherwise="none"),)
    assert rows(tree, "y") == {"default": "none", "a": "$z", "~^b": "1"}
    assert rows(tree, "other") == {}
    assert rows((*tree, *tree), "y") == {}, "two maps of one name: neither counts"


def test_words_are_what_nginx_has_in_memory() -> None:
    assert words(line("a", "b c", Var("d"), Text(("e", Var("f"))))) == ("b c", "$d", "e$f")
