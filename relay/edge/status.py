"""The private listener: counters and the generation marker, on a unix socket that only the bundle's owner can reach."""

from relay.edge.conf import Directive, block, line
from relay.edge.facts import Facts
from relay.edge.policy import EdgePolicy
from relay.edge.process import Site

SOCKET = "run/status.sock"
LONGEST_SOCKET_PATH = 107
"""Bytes of a unix socket's path that the kernel keeps."""


def private_listener(policy: EdgePolicy, facts: Facts, site: Site) -> tuple[Directive, ...]:
    """Answer what is running. A bundle whose path is too long for a socket goes without: the public side doesn't depend on it."""
    address = f"{site.bundle / SOCKET}"
    if len(address.encode()) > LONGEST_SOCKET_PATH:
        return ()
    counters = (block("location", "=", "/status", body=(line("stub_status"),)),) if facts.stub_status else ()
    return (
        block(
            "server",
            body=(
                line("listen", f"unix:{address}"),
                line("access_log", "off"),
                *counters,
                block("location", "=", "/generation", body=(line("return", 200, f'{{"settings":"{policy.digest}"}}'),)),
                block("location", "/", body=(line("return", 404),)),
            ),
            why="Private: counters, and which settings the running configuration was rendered from. nginx makes this socket open to all; "
            "the folder around it is not.",
        ),
    )
