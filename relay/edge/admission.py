"""Who gets in: an exact raw request line, an exact location, our own name, nothing odd about the message's framing.

The raw line is a literal key of a hash, so no path is ever normalised, decoded or matched by a pattern on its way to a
decision. A map ignores case, a `location =` does not: both must agree. All conditions meet in one value, `$edge_verdict`:
"pass", "preflight" (answer a browser's question), "websocket" (answer 426), "close" (say nothing), or the reason of a 403.
"""

from collections.abc import Iterator

from relay.edge.conf import Directive, Text, Var, block, line, table, when
from relay.edge.policy import Admitted, EdgePolicy

PLAIN = "known none plain"
"""Our name, no upgrade asked for, no coding but chunked: the part of the verdict's key that every admitted request shares."""


def request_line(row: Admitted, protocol: str) -> str:
    """Give the raw line that admits a row, byte for byte."""
    return f"{row.method} {row.path} {protocol}"


def preflight_line(row: Admitted, protocol: str) -> str:
    """Give the raw line of a browser's question whether a row may be called."""
    return f"OPTIONS {row.path} {protocol}"


def maps(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Judge a request from its raw line, its Host, its Upgrade and its Transfer-Encoding."""
    return (
        _lines(policy),
        _hosts(policy),
        _upgrades(policy),
        _transfers(policy),
        *_cors(policy),
        *_reasons(policy),
        _verdict(policy),
        _denial(),
    )


def judge_early() -> Directive:
    """Have verdict and method worked out, and so kept, while the request is still what the client sent."""
    return line(
        "set",
        Var("edge_judged"),
        Text((Var("edge_verdict"), " ", Var("edge_method"))),
        why="An error page turns the method into GET: the verdict, and the method for the log, are settled before that can happen.",
    )


def gate(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Open each published location with its verdict. `return` runs before limits and before the body is read, so a refusal is cheap."""
    answers = [when("edge_verdict", "=", "close", answer=444)]
    if policy.origins:
        answers.append(when("edge_verdict", "=", "preflight", answer=204))
    if policy.upgrade_426:
        answers.append(when("edge_verdict", "=", "websocket", answer=426))
    return (*answers, when("edge_verdict", "!=", "pass", answer=403))


def everything_else(policy: EdgePolicy) -> Directive:
    """Refuse every path that has no location of its own, bare /v1 included: there is nothing here that could redirect."""
    answers = [when("edge_verdict", "=", "close", answer=444)]
    if policy.upgrade_426:
        answers.append(when("edge_verdict", "=", "websocket", answer=426))
    return block(
        "location",
        "/",
        body=(line("set", Var("edge_path"), Var("uri")), *answers, line("return", 403)),
        why="Default deny: what is not one of the exact locations above is refused, bare /v1 included (no 301).",
    )


def nobody(policy: EdgePolicy) -> Directive:
    """Close a connection that asks for a name which isn't ours."""
    body = [line("client_max_body_size", 0, why="No limit, since a 413 would be an answer.")]
    if policy.certificate:
        body.append(when("server_protocol", "=", "HTTP/2.0", answer=421))
    return block("location", "/", body=(*body, line("return", 444)))


def _lines(policy: EdgePolicy) -> Directive:
    rows = [(request_line(row, protocol), row.method.lower()) for row in policy.admitted for protocol in policy.protocols]
    if policy.origins:
        rows += [(preflight_line(row, protocol), "preflight") for row in policy.admitted for protocol in policy.protocols]
    return table(
        Var("request"),
        "edge_line",
        dict(rows).items(),
        otherwise="none",
        why="Admission by the exact raw request line, made from the relay's route table: one hash lookup. Encoded, dotted, doubled, "
        "absolute and query forms all miss, and so does every other method and version.",
    )


def _hosts(policy: EdgePolicy) -> Directive:
    return table(
        Var("http_host"),
        "edge_host",
        [(authority, "known") for authority in policy.authorities],
        otherwise="unknown",
        why="Only our own name, written as a client of this port writes it. The header decides, not the name inside an absolute "
        "request line.",
    )


def _upgrades(policy: EdgePolicy) -> Directive:
    websocket = [("websocket", "websocket")] if policy.upgrade_426 else []
    return table(
        Var("http_upgrade"),
        "edge_upgrade",
        [("", "none"), *websocket],
        otherwise="asked",
        why="No request that asks to change the protocol passes as if it hadn't asked.",
    )


def _transfers(policy: EdgePolicy) -> Directive:
    plain = [f"{protocol}:" for protocol in policy.protocols]
    return table(
        Text((Var("server_protocol"), ":", Var("http_transfer_encoding"))),
        "edge_transfer",
        [(key, "plain") for key in (*plain, "HTTP/1.1:chunked")],
        otherwise="coded",
        why="A body has a length, or is chunked and nothing else. HTTP/2 has no Transfer-Encoding: where it carries one, smuggling is "
        "meant.",
    )


def _cors(policy: EdgePolicy) -> Iterator[Directive]:
    """Answer a browser: listed origins only, echoing the listed spelling of the origin and a well-formed list of headers."""
    if not policy.origins:
        return
    asks = {f"{preflight_line(row, protocol)} {row.method}": row.method for row in policy.admitted for protocol in policy.protocols}
    question = Text((Var("request"), " ", Var("http_access_control_request_method")))
    yield table(
        Var("http_origin"),
        "edge_origin",
        [(origin, origin) for origin in policy.origins],
        otherwise="",
        why="Web origins that may call from a browser. An empty value sends no header, so another origin's page can't read any answer.",
    )
    yield table(
        question, "edge_cors_method", asks.items(), otherwise="", why="The method that a preflight asks for, if it is the path's own."
    )
    yield table(
        Text((Var("edge_cors_method"), " ", Var("edge_origin"))),
        "edge_preflight",
        [(f"{method} {origin}", "preflight") for method in dict.fromkeys(asks.values()) for origin in policy.origins],
        otherwise="origin",
    )


def _reasons(policy: EdgePolicy) -> Iterator[Directive]:
    """Find the reason of a refusal by chained exact maps, the least particular one first."""
    spoken: list[tuple[str, Var]] = [(protocol, Var("edge_why_transfer")) for protocol in policy.protocols]
    yield table(
        Var("request_method"),
        "edge_why_line",
        [("POST", "path"), *([("OPTIONS", "origin")] if policy.origins else [])],
        otherwise="method",
        why="Why a request is refused, for the caller and for the log: asked from the outside in, the name first, the line last.",
    )
    yield table(Var("edge_transfer"), "edge_why_transfer", [("plain", Var("edge_why_line"))], otherwise="transfer")
    yield table(Var("server_protocol"), "edge_why_version", spoken, otherwise="version")
    websocket: list[tuple[str, Var]] = []
    if policy.upgrade_426:
        yield table(Var("server_protocol"), "edge_why_websocket", [("HTTP/1.1", "websocket")], otherwise="upgrade")
        websocket.append(("websocket", Var("edge_why_websocket")))
    yield table(Var("edge_upgrade"), "edge_why_upgrade", [("none", Var("edge_why_version")), *websocket], otherwise="upgrade")
    yield table(Var("edge_host"), "edge_why", [("known", Var("edge_why_upgrade"))], otherwise="close")


def _verdict(policy: EdgePolicy) -> Directive:
    rows: dict[str, str | Var] = {f"{row.method.lower()} {PLAIN}": "pass" for row in policy.admitted}
    if policy.origins:
        rows[f"preflight {PLAIN}"] = Var("edge_preflight")
    return table(
        Text((Var("edge_line"), " ", Var("edge_host"), " ", Var("edge_upgrade"), " ", Var("edge_transfer"))),
        "edge_verdict",
        rows.items(),
        otherwise=Var("edge_why"),
        why="The one decision. It passes only what is right in every respect at once; anything unforeseen is a refusal.",
    )


def _denial() -> Directive:
    return table(
        Var("edge_verdict"),
        "edge_denial",
        [("pass", "path")],
        otherwise=Var("edge_verdict"),
        why="A map ignores case, a location does not: /V1/… has a passing line and no location, so it is refused for its path.",
    )
