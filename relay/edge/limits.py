"""How much a client may take: time, header bytes, requests in a while, requests at once."""

from relay.edge.conf import Directive, Var, Word, line, seconds, size
from relay.edge.facts import EdgeUnavailable, Facts
from relay.edge.policy import EdgePolicy

LARGE_HEADERS = 4
"""Buffers for long header lines; the first, small one holds what is ordinary."""


def client_limits(policy: EdgePolicy, facts: Facts) -> tuple[Directive, ...]:
    """Bound what a connection may hold and for how long."""
    waits = policy.waits
    return (
        line(
            "client_header_timeout",
            seconds(waits.client_header_s),
            why="A client that dawdles is let go: half-sent heads and bodies cost little, but not nothing.",
        ),
        line("client_body_timeout", seconds(waits.client_body_s)),
        line("send_timeout", seconds(waits.client_send_s)),
        line("keepalive_timeout", seconds(waits.client_idle_s)),
        line("reset_timedout_connection", "on"),
        line("client_header_buffer_size", "2k", why="Room for the headers of real SDKs, below what the relay's own parser takes."),
        line("large_client_header_buffers", LARGE_HEADERS, size(policy.header_line_limit)),
        *([line("max_headers", policy.header_count)] if facts.max_headers else []),
    )


def zones(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Count per client address; limits per key are the relay's."""
    return (
        line(
            "limit_req_zone",
            Var("binary_remote_addr"),
            "zone=edge_rate:10m",
            f"rate={policy.rate.count}r/{policy.rate.per}",
            why="Limits per client address. Limits per key are the relay's: here a key is only text, and a flood of false ones would flush "
            "the honest.",
        ),
        line("limit_conn_zone", Var("binary_remote_addr"), "zone=edge_streams:10m"),
        line("limit_req_status", 429),
        line("limit_conn_status", 429),
        line("limit_req_log_level", "notice"),
        line("limit_conn_log_level", "notice"),
    )


def limited(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Apply the limits to a published location."""
    burst: tuple[Word, ...] = (f"burst={policy.burst}", "nodelay") if policy.burst else ()
    return (line("limit_req", "zone=edge_rate", *burst), line("limit_conn", "edge_streams", policy.connections))


def client_address(policy: EdgePolicy, facts: Facts) -> tuple[Directive, ...]:
    """Believe an outer proxy's word about the client's address, if it is one of those named."""
    if not policy.trusted:
        return ()
    if not facts.real_ip:
        msg = "edge.real_ip_from needs an nginx with the realip module, and this one has none; install another or leave the setting out"
        raise EdgeUnavailable(msg)
    return (
        line(
            "real_ip_header",
            "X-Forwarded-For",
            why="The client's address as these outer proxies give it; from anyone else the header is ignored.",
        ),
        line("real_ip_recursive", "on"),
        *(line("set_real_ip_from", network) for network in policy.trusted),
    )
