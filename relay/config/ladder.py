"""The numbers that must agree across hops, computed once, with their inequalities written as code.

nginx, the relay and the units are rendered from this one ladder, so no two of them can disagree. `broken_rungs`
names each inequality that the Settings break, in words that say which setting to change.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from relay.config.schema import Settings
from relay.config.units import duration_text

EDGE_TO_RELAY_KEEPALIVE_S = 55.0
"""Idle time after which the edge drops a connection to the relay."""

RELAY_KEEPALIVE_S = 75.0
"""Idle time after which the relay drops a connection of the edge: longer, so that it never closes one the edge is about to use."""

CLIENT_KEEPALIVE_S = 75.0
"""Idle time after which the edge drops a connection of a client."""

CLIENT_HEADER_S = 10.0
CLIENT_BODY_S = 15.0
CLIENT_SEND_S = 30.0
RELAY_HEADER_LIMIT = 16 << 10
"""Longest single header line the relay reads; the edge's limits stay below it."""

EDGE_HEADER_LIMIT = 8 << 10
EDGE_HEADERS = 64
RELAY_HEADERS = 128
KILL_AFTER_S = 15.0
"""How much longer than the drain a supervisor waits for the relay to end by itself."""

UPSTREAM_IDLE_S = 30.0
"""Idle time after which the relay drops a pooled connection to an upstream."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Seconds and bytes, each with the one owner of its value."""

    body_limit: int  # edge client_max_body_size = relay's largest body
    edge_read_s: float  # edge: longest silence of the relay
    relay_idle_s: float  # relay: longest silence of an upstream, over all channels
    relay_first_byte_s: float
    ping_s: float  # relay to client, while the upstream is silent
    commit_s: float  # latest moment of a stream's status line
    stream_s: float  # longest exchange
    edge_shutdown_s: float  # old nginx workers may finish their streams
    drain_s: float  # relay: open streams after a stop
    stop_s: float  # supervisor: before it kills
    relay_tries_s: float  # all tries of a request, one after another


def ladder(settings: Settings) -> Ladder:
    """Compute the ladder of these Settings."""
    server, edge = settings.server, settings.edge
    first_byte_s = max([server.first_byte_timeout, *(c.first_byte_timeout for c in settings.channel if c.first_byte_timeout)])
    return Ladder(
        body_limit=edge.body_limit,
        edge_read_s=edge.read_timeout,
        relay_idle_s=max([server.idle_timeout, *(c.idle_timeout for c in settings.channel if c.idle_timeout)]),
        relay_first_byte_s=first_byte_s,
        relay_tries_s=min(server.tries * (server.connect_timeout + first_byte_s), server.total_timeout),
        ping_s=server.ping_interval,
        commit_s=server.commit_after,
        stream_s=server.total_timeout,
        edge_shutdown_s=server.total_timeout + CLIENT_SEND_S,
        drain_s=server.drain,
        stop_s=server.drain + KILL_AFTER_S,
    )


@dataclass(frozen=True, slots=True)
class Rung:
    """One inequality: a setting, how it must compare, with what, and why."""

    setting: str  # the one to change
    must_be: str  # a key of COMPARE
    than: str  # the other side, in words
    why: str  # what happens where it does not hold
    value_s: Callable[[Ladder], float]
    bound_s: Callable[[Ladder], float]

    def holds(self, at: Ladder) -> bool:
        """Whether this ladder keeps it."""
        return COMPARE[self.must_be](self.value_s(at), self.bound_s(at))


COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "longer than": operator.gt,
    "at least": operator.ge,
    "shorter than": operator.lt,
}

RUNGS: Final = (
    Rung(
        "edge.read_timeout",
        "longer than",
        "the longest `idle_timeout` of server and channels",
        "the edge cuts what the relay still waits for",
        lambda at: at.edge_read_s,
        lambda at: at.relay_idle_s,
    ),
    Rung(
        "edge.read_timeout",
        "at least",
        "three times `server.ping_interval`",
        "one late ping ends a stream",
        lambda at: at.edge_read_s,
        lambda at: at.ping_s * 3,
    ),
    Rung(
        "edge.read_timeout",
        "longer than",
        "`server.commit_after` plus `server.ping_interval`",
        "the edge gives up on a stream before its first ping",
        lambda at: at.edge_read_s,
        lambda at: at.commit_s + at.ping_s,
    ),
    Rung(
        "edge.read_timeout",
        "longer than",
        "all tries of a request (`server.tries`, each up to `server.connect_timeout` and the longest `first_byte_timeout`)",
        "a caller that does not stream gets the edge's 504 while the relay still tries",
        lambda at: at.edge_read_s,
        lambda at: at.relay_tries_s,
    ),
    Rung(
        "server.total_timeout",
        "longer than",
        "the longest `idle_timeout` of server and channels",
        "an idle timeout never comes to pass",
        lambda at: at.stream_s,
        lambda at: at.relay_idle_s,
    ),
    Rung(
        "server.ping_interval",
        "shorter than",
        "the longest `idle_timeout` of server and channels",
        "no ping is ever sent",
        lambda at: at.ping_s,
        lambda at: at.relay_idle_s,
    ),
)


def broken_rungs(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (path of the setting to change, what is wrong) for each inequality that does not hold."""
    at = ladder(settings)
    for rung in RUNGS:
        if not rung.holds(at):
            yield rung.setting, f"must be {rung.must_be} {rung.than} ({duration_text(rung.bound_s(at))}), else {rung.why}"
