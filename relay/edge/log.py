"""What the edge writes down: one JSON line a request, with the reason of each refusal, and neither secrets nor prompts."""

from relay.edge.conf import Directive, Text, Var, line, table
from relay.edge.policy import EdgePolicy

ACCESS_LOG = "logs/access.log"
ERROR_LOG = "logs/error.log"
FIELDS = (
    ("msec", "msec"),
    ("request_id", "request_id"),
    ("ip", "remote_addr"),
    ("status", "status"),
    ("reason", "edge_reason"),
    ("route", "edge_route"),
    ("path", "edge_path"),
    ("method", "edge_method"),
    ("protocol", "server_protocol"),
    ("request_bytes", "request_length"),
    ("sent_bytes", "bytes_sent"),
    ("request_s", "request_time"),
    ("connect_s", "upstream_connect_time"),
    ("header_s", "upstream_header_time"),
    ("response_s", "upstream_response_time"),
    ("completion", "request_completion"),
    ("user_agent", "http_user_agent"),
)
"""Name in the log -> variable. `route` is a published path or empty; `path` is what a refused request asked for, without its query."""

TLS_FIELDS = (("tls", "ssl_protocol"),)

_BY_STATUS = (
    ("204", "preflight"),
    ("400", "malformed"),
    ("403", Var("edge_refused")),
    ("408", "slow_client"),
    ("413", "body_too_large"),
    ("414", "line_too_long"),
    ("421", "host"),
    ("426", "upgrade"),
    ("429", Var("edge_limit")),
    ("431", "headers_too_large"),
    ("444", "host"),
    ("499", "client_abort"),
    ("500", "edge_error"),
    ("502", "relay_down"),
    ("503", "relay_down"),
    ("504", "relay_timeout"),
)


def maps(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Work out reason and route, each from exact words, so that both are labels from a closed list."""
    scheme = "https" if policy.certificate else "http"
    lines = {f"{row.method} {row.path} {protocol}": row.path for row in policy.admitted for protocol in policy.protocols}
    return (
        table(
            Var("upstream_header_time"),
            "edge_reason",
            [("", Var("edge_own_reason")), ("-", Var("edge_own_reason"))],
            otherwise=Var("edge_cut"),
            why="Why the edge itself ended a request. Empty when the relay answered, unless its answer was cut short.",
        ),
        table(Var("request_completion"), "edge_cut", [("", "cut")], otherwise=""),
        table(Var("status"), "edge_own_reason", _BY_STATUS, otherwise=""),
        table(Var("scheme"), "edge_refused", [(scheme, Var("edge_denial"))], otherwise="cleartext"),
        table(Var("limit_req_status"), "edge_limit", [("REJECTED", "rate")], otherwise="connections"),
        table(Var("request"), "edge_route", lines.items(), otherwise=""),
        table(Var("request_method"), "edge_method", [], otherwise=Var("request_method"), why="The method as it was sent."),
    )


def access_log(policy: EdgePolicy) -> tuple[Directive, ...]:
    """Write one line a request. Every value is quoted: times are empty or "-" when the relay wasn't asked."""
    parts: list[str | Var] = []
    for at, (name, variable) in enumerate((*FIELDS, *(TLS_FIELDS if policy.certificate else ()))):
        parts += [f'{"," if at else "{"}"{name}":"', Var(variable), '"']
    return (
        line(
            "log_format",
            "edge",
            "escape=json",
            Text((*parts, "}")),
            why="No key, no body, no query. Written in blocks, at the latest after a second; the relay's metrics follow this file.",
        ),
        line("access_log", ACCESS_LOG, "edge", "buffer=64k", "flush=1s"),
        line("uninitialized_variable_warn", "off"),
    )
