"""Which headers cross the edge, in both directions. Everything is on a list; what is on none ends here.

Towards the relay nothing of the client's passes unless it is named in FROM_CLIENT; towards the client everything of the
relay's passes unless it is named in NEVER_TO_CLIENT.
"""

from relay.edge.conf import Directive, Var, Word, line, table
from relay.edge.policy import EdgePolicy

FROM_CLIENT = (
    # who is calling
    "Authorization",
    "X-Api-Key",
    # what is in the body; the relay refuses a Content-Encoding, so it has to see it
    "Content-Type",
    "Content-Encoding",
    "Accept",
    "User-Agent",
    # what the vendors' own SDKs and command lines say beside the body
    "OpenAI-Organization",
    "OpenAI-Project",
    "OpenAI-Beta",
    "Anthropic-Version",
    "Anthropic-Beta",
    "Anthropic-Dangerous-Direct-Browser-Access",
    # which try of which request this is, and how long its caller waits
    "Idempotency-Key",
    "X-Client-Request-Id",
    "X-Stainless-Retry-Count",
    "X-Stainless-Timeout",
    "X-Stainless-Read-Timeout",
    # which SDK: the rest of the X-Stainless family tells about the caller's machine, and nobody here needs that
    "X-Stainless-Lang",
    "X-Stainless-Package-Version",
    "X-Stainless-Helper-Method",
    # tracing
    "Traceparent",
    "Tracestate",
)
"""Accept-Encoding is missing on purpose: a compressed stream arrives in lumps. Cookie, Range, Origin, Forwarded, Via and all X-* that
claim an identity are missing for what they are."""

NEVER_TO_CLIENT = (
    "X-Request-Id",  # the edge's own is added; it is the one that the relay was given
    "X-Powered-By",
    "Via",
    "Alt-Svc",
    "Set-Cookie",  # a provider's cookie would be set for our name
    "Strict-Transport-Security",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
)

STEERING = (
    "X-Accel-Redirect",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
    "Expires",
    "Cache-Control",
    "Set-Cookie",
    "Vary",
)
"""What nginx would obey if an answer had it. It does not reach the client either, but for the standard four."""

EXPOSED = "X-Request-Id, Retry-After, X-Should-Retry"
"""What a page's script may read beside the body; a browser hides every other header from it."""

HSTS = "max-age=63072000"


def maps(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Find out whether this answer goes over HTTPS: a promise made in clear is worth nothing, and RFC 6797 forbids it."""
    if not policy.certificate:
        return ()
    return (
        table(
            Var("https"),
            "edge_hsts",
            [("on", HSTS)],
            otherwise="",
            why="A browser that came here over HTTPS will not try without it again.",
        ),
    )


def to_relay(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Rebuild the request's headers from the list. An absent one stays absent: nginx sends no header with an empty value."""
    own: tuple[tuple[str, Word], ...] = (
        ("Host", policy.domain),
        ("Connection", ""),
        ("X-Real-IP", Var("remote_addr")),
        ("X-Forwarded-For", Var("remote_addr")),
        ("X-Request-Id", Var("request_id")),
        ("X-Edge-Start", Var("msec")),
    )
    return (
        line(
            "proxy_pass_request_headers",
            "off",
            why="No header passes because the client sent it: each is rebuilt from this list, so that a forged identity, a hop-by-hop "
            "trick or a wish for compression ends here. Host is constant, the client's address is the peer's, the request id is ours. An "
            "empty Connection keeps the connection to the relay open. Content-Length is nginx's own count of the body it has read.",
        ),
        *(line("proxy_set_header", name, value) for name, value in own),
        *(line("proxy_set_header", name, Var(f"http_{name.lower().replace('-', '_')}")) for name in FROM_CLIENT),
    )


def from_relay() -> tuple[Directive, ...]:
    """Take from the relay's answer what is not for the client, and obey none of it."""
    return (
        line(
            "proxy_ignore_headers",
            *STEERING,
            why="Providers' headers must not steer this server: X-Accel-Redirect would fetch another location, X-Accel-Buffering would "
            "turn buffering back on.",
        ),
        *(line("proxy_hide_header", name) for name in NEVER_TO_CLIENT),
    )


def to_client(policy: EdgePolicy, *more: tuple[str, Word], why: str = "") -> tuple[Directive, ...]:
    """Say what every answer carries.

    A block with one header of its own loses all outer ones, so each block that has any gets the whole set.
    """
    always: list[tuple[str, Word]] = [("X-Request-Id", Var("request_id")), ("X-Accel-Buffering", "no")]
    if policy.certificate:
        always.append(("Strict-Transport-Security", Var("edge_hsts")))
    if policy.origins:
        always += [("Access-Control-Allow-Origin", Var("edge_origin")), ("Access-Control-Expose-Headers", EXPOSED), ("Vary", "Origin")]
    names = [*always, *more]
    return tuple(line("add_header", name, value, "always", why="" if at else why) for at, (name, value) in enumerate(names))
