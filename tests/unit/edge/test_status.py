"""The private listener: a socket in the bundle, counters where nginx has them, the digest always."""

from pathlib import Path

from relay.edge.conf import print_tree
from relay.edge.process import Site
from relay.edge.status import LONGEST_SOCKET_PATH, private_listener
from tests.unit.edge.edges import BARE, FACTS, SITE, policy


def test_it_listens_on_a_socket_of_the_bundle_and_tells_the_digest() -> None:
    printed = print_tree(private_listener(policy(), FACTS, SITE))
    assert "listen unix:/var/lib/postgate/edge/run/status.sock;" in printed
    assert policy().digest in printed
    assert "stub_status;" in printed


def test_without_the_module_there_are_no_counters() -> None:
    assert "stub_status" not in print_tree(private_listener(policy(), BARE, SITE))


def test_a_path_too_long_for_a_socket_goes_without() -> None:
    longest = "/" + "a" * (LONGEST_SOCKET_PATH - len("//run/status.sock"))
    assert private_listener(policy(), FACTS, Site(Path(longest)))
    assert private_listener(policy(), FACTS, Site(Path(longest + "a"))) == ()
