"""The way to the relay: one upstream, HTTP/1.1, kept open, unbuffered in the direction of tokens, never on a disk."""

from relay.edge.conf import Directive, block, line, seconds, size
from relay.edge.headers import from_relay, to_relay
from relay.edge.policy import EdgePolicy

UPSTREAM = "relay"
IDLE_CONNECTIONS = 64
REQUESTS_PER_CONNECTION = 10_000


def body_buffer(body_limit: int) -> int:
    """Leave room for the framing of a chunked body, which nginx keeps in the same buffer: 1/16 is chunks of about 100 bytes."""
    return body_limit + body_limit // 16 + (16 << 10)


def upstream(policy: EdgePolicy) -> Directive:
    """Name the relay, the only place this edge ever forwards to."""
    return block(
        "upstream",
        UPSTREAM,
        body=(
            line("server", policy.relay, "max_fails=0"),
            line("keepalive", IDLE_CONNECTIONS),
            line("keepalive_requests", REQUESTS_PER_CONNECTION),
            line("keepalive_timeout", seconds(policy.waits.relay_idle_s)),
        ),
        why="The relay, and nothing else: its admin listener is another socket that no directive here names. Connections are kept, for a "
        "shorter time than the relay keeps them, so that it never closes one that is about to carry a POST.",
    )


def forwarding(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Say how requests and answers are forwarded, once for all published locations."""
    waits = policy.waits
    tcp = not policy.relay.startswith("unix:")
    return (
        *to_relay(policy),
        *from_relay(),
        line(
            "proxy_http_version",
            "1.1",
            why="HTTP/1.1, so that a relay that dies amid a stream is seen as a cut: over 1.0 its end looks regular.",
        ),
        line(
            "proxy_buffering",
            "off",
            why="Tokens go out as they come, and a client that doesn't read holds the relay back instead of filling a disk.",
        ),
        line("proxy_max_temp_file_size", 0),
        line("proxy_buffer_size", "16k"),
        line("proxy_buffers", 4, "16k"),
        line("proxy_busy_buffers_size", "32k"),
        line(
            "proxy_request_buffering",
            "on",
            why="A request is read whole before the relay hears of it, into memory only: slow uploads cost the relay nothing.",
        ),
        line("client_body_in_file_only", "off"),
        line(
            "proxy_connect_timeout",
            seconds(waits.relay_connect_s),
            why="How long to wait for the relay; it sends a sign of life in each stream well before.",
        ),
        line("proxy_send_timeout", seconds(waits.relay_send_s)),
        line("proxy_read_timeout", seconds(waits.relay_read_s)),
        *([line("proxy_socket_keepalive", "on")] if tcp else []),
        line("proxy_next_upstream", "off", why="A POST is paid for: it is never sent twice."),
        line("proxy_intercept_errors", "off", why="The relay's own errors say more than ours."),
        line("proxy_ignore_client_abort", "off", why="A client that has left stops the relay, and the relay stops the provider."),
        line("proxy_redirect", "off"),
    )


def pass_on(body_limit: int) -> tuple[Directive, ...]:
    """Hand an admitted request over, with the body limit of its path."""
    return (
        line("client_max_body_size", size(body_limit)),
        line("client_body_buffer_size", size(body_buffer(body_limit))),
        line("proxy_pass", f"http://{UPSTREAM}"),
    )
