"""The way to the relay: one upstream, waits of the ladder, room for a whole body and its framing."""

import pytest

from relay.edge.conf import Directive
from relay.edge.proxy import body_buffer, forwarding, pass_on, upstream
from relay.edge.scope import words
from tests.unit.edge.edges import policy


def _lines(**edge: object) -> dict[str, tuple[str, ...]]:
    return {line.name: words(line) for line in forwarding(policy(**edge))}


def test_the_relay_is_the_only_upstream_and_its_connections_are_kept_for_less_than_it_keeps_them() -> None:
    lines = {node.name: words(node) for node in upstream(policy()).body or () if isinstance(node, Directive)}
    assert lines["server"] == ("unix:/etc/postgate/run/relay.sock", "max_fails=0")
    assert lines["keepalive_timeout"] == ("55s",)


def test_waits_are_the_ladders() -> None:
    lines = _lines(read_timeout="250ms")
    assert (lines["proxy_read_timeout"], lines["proxy_connect_timeout"]) == (("250ms",), ("3s",))


def test_nothing_is_buffered_repeated_or_rewritten() -> None:
    lines = _lines()
    for name in ("proxy_buffering", "proxy_next_upstream", "proxy_intercept_errors", "proxy_ignore_client_abort", "proxy_redirect"):
        assert lines[name] == ("off",)


def test_a_tcp_relay_that_vanished_is_noticed() -> None:
    over_tcp = {line.name for line in forwarding(policy(server={"listen": "127.0.0.1:9"}))}
    assert "proxy_socket_keepalive" in over_tcp
    assert "proxy_socket_keepalive" not in _lines()


@pytest.mark.parametrize("limit", [1024, 1 << 20, 20 << 20, 1 << 30])
def test_a_body_of_the_limit_fits_the_buffer_in_ordinary_chunks(limit: int) -> None:
    framed = limit + (limit // 256 + 2) * len("100\r\n\r\n")
    assert body_buffer(limit) >= framed


def test_a_location_has_the_limit_of_its_path() -> None:
    lines = {line.name: words(line) for line in pass_on(1 << 20)}
    assert lines == {"client_max_body_size": ("1m",), "client_body_buffer_size": ("1104k",), "proxy_pass": ("http://relay",)}
