"""What a preflight is answered with. The headers exist in every location and are empty, hence absent, unless the verdict is "preflight"."""

from relay.edge.conf import Directive, Regex, Var, Word, table
from relay.edge.policy import EdgePolicy

MAX_AGE_S = 600
_HEADER_NAMES = Regex("^[A-Za-z0-9_-]{1,64}( ?, ?[A-Za-z0-9_-]{1,64}){0,63}$")


def maps(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Reflect the headers that were asked for.

    SDKs send a dozen of their own, so a fixed list breaks them, and `*` does not cover Authorization.
    """
    if not policy.origins:
        return ()
    return (
        table(
            Var("http_access_control_request_headers"),
            "edge_cors_names",
            [(_HEADER_NAMES, Var("http_access_control_request_headers"))],
            otherwise="",
            why="Reflected only if it is a list of header names and nothing else.",
        ),
        table(Var("edge_verdict"), "edge_cors_headers", [("preflight", Var("edge_cors_names"))], otherwise=""),
        table(Var("edge_verdict"), "edge_cors_methods", [("preflight", Var("edge_cors_method"))], otherwise=""),
        table(Var("edge_verdict"), "edge_cors_age", [("preflight", str(MAX_AGE_S))], otherwise=""),
    )


def preflight_headers(policy: EdgePolicy) -> tuple[tuple[str, Word], ...]:
    """Name the headers that only a preflight's answer has."""
    if not policy.origins:
        return ()
    return (
        ("Access-Control-Allow-Methods", Var("edge_cors_methods")),
        ("Access-Control-Allow-Headers", Var("edge_cors_headers")),
        ("Access-Control-Max-Age", Var("edge_cors_age")),
    )
