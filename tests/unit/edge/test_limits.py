"""Limits: the settings' numbers as they are, and what a missing module means."""

from ipaddress import ip_network

import pytest

from relay.edge.facts import EdgeUnavailable
from relay.edge.limits import client_address, client_limits, limited, zones
from relay.edge.scope import words
from tests.unit.edge.edges import BARE, FACTS, policy


@pytest.mark.parametrize(("rate", "text"), [("10/s", "rate=10r/s"), ("300/m", "rate=300r/m")])
def test_a_rate_is_written_as_it_was_set(rate: str, text: str) -> None:
    (zone,) = (line for line in zones(policy(rate_limit={"per_ip": rate})) if line.name == "limit_req_zone")
    assert words(zone) == ("$binary_remote_addr", "zone=edge_rate:10m", text)


def test_a_burst_of_none_is_left_out_since_nginx_refuses_it() -> None:
    assert words(limited(policy(rate_limit={"burst": 0}))[0]) == ("zone=edge_rate",)
    assert words(limited(policy(rate_limit={"burst": 7, "connections": 3}))[0]) == ("zone=edge_rate", "burst=7", "nodelay")
    assert words(limited(policy(rate_limit={"connections": 3}))[1]) == ("edge_streams", "3")


def test_the_number_of_headers_is_bounded_where_nginx_can() -> None:
    assert "max_headers" in {line.name for line in client_limits(policy(), FACTS)}
    assert "max_headers" not in {line.name for line in client_limits(policy(), BARE)}


def test_nobody_is_believed_about_addresses_unless_named() -> None:
    assert client_address(policy(), FACTS) == ()
    lines = client_address(policy(real_ip_from=["10.0.0.0/8", ip_network("2001:db8::/32")]), FACTS)
    assert [words(line) for line in lines] == [("X-Forwarded-For",), ("on",), ("10.0.0.0/8",), ("2001:db8::/32",)]


def test_an_nginx_that_can_not_tell_addresses_is_refused_with_the_way_out() -> None:
    with pytest.raises(EdgeUnavailable, match=r"edge.real_ip_from needs an nginx with the realip module"):
        client_address(policy(real_ip_from=["10.0.0.0/8"]), BARE)
