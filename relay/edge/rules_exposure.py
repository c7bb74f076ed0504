"""Rules about what is told, kept and spoken. Each is one function; its docstring holds a configuration that it finds fault with."""

import json
from collections.abc import Iterator

from relay.edge.conf import walk
from relay.edge.policy import EdgePolicy
from relay.edge.scope import Scope, Tree, proxied, public_servers, scopes, words
from relay.edge.tls import CIPHERS, PROTOCOLS

SECRETS = (
    "$request ",
    '$request"',
    "$request_body",
    "$request_uri",
    "$args",
    "$arg_",
    "$is_args",
    "$query_string",
    "$http_authorization",
    "$http_x_api_key",
    "$http_cookie",
    "$http_referer",
    "$remote_user",
)
"""A key stands in a header, or in the query of someone who mistook us for another API; a prompt in the body."""

NGINX_MADE = (400, 403, 404, 405, 413, 414, 429, 494, 500, 502, 503, 504)
"""Statuses that nginx makes by itself under this configuration; what a running one answers is the judge (tests/edge)."""

EARLY = (400, 403, 404, 405, 414, 494, 500)
"""Those of them that can be made before a request has reached its location."""


def no_version_is_told(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Bad: no `server_tokens off;`."""
    for server in scopes(tree, "server"):
        if server.value("server_tokens") != "off":
            yield f"{server.title}: tells its version"


def no_answer_loses_headers(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """Each answer carries the whole set, errors included.

    Bad: `location = /e { add_header Retry-After 1; return 429; }`: the one header drops all outer ones.
    """
    wanted = {"X-Request-Id", "X-Accel-Buffering"}
    wanted |= {"Strict-Transport-Security"} if policy.certificate else set()
    wanted |= {"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Vary"} if policy.origins else set()
    for location in (*proxied(tree), *_pages(tree)):
        sent = location.in_force("add_header")
        if missing := wanted - {entry[0] for entry in sent}:
            yield f"{location.title}: its answers lack {', '.join(sorted(missing))}"
        if careless := [entry[0] for entry in sent if entry[-1] != "always"]:
            yield f"{location.title}: {', '.join(careless)} is missing on errors (`always`)"


def errors_are_json(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Each status that nginx makes has an error page, which is an internal location with an OpenAI error object.

    Bad: `error_page 404 /404.html;`, or one `error_page` inside a location, which drops all of the server's.
    """
    for server in public_servers(tree):
        pages = {words(node)[-1] for node in server.own("error_page")}
        caught = {word for node in server.own("error_page") for word in words(node)[:-1]}
        forwards = any(server.block in location.above for location in proxied(tree))
        if missing := [status for status in (NGINX_MADE if forwards else EARLY) if str(status) not in caught]:
            yield f"{server.title}: no error page for {missing}"
        answers = {words(node)[-1]: Scope(node, (*server.above, server.block)) for node in server.own("location")}
        for page in sorted(pages):
            if page not in answers or not answers[page].own("internal") or not _says_error_object(answers[page]):
                yield f"{server.title}: {page} is not an internal location with an OpenAI error object"
    for location in scopes(tree, "location"):
        if location.own("error_page"):
            yield f"{location.title}: its own error_page drops the server's"


def counters_are_private(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Bad: `server { listen 80; location = /status { stub_status; } }`."""
    public = {server.block for server in public_servers(tree)}
    for location in scopes(tree, "location"):
        if location.own("stub_status") and any(block in public for block in location.above):
            yield f"{location.title}: counters on a public listener"


def logs_hold_no_secrets(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Bad: `log_format edge '$request $http_authorization';`: a query may hold a key, and the header does."""
    for directive, _ in walk(tree):
        if directive.name == "log_format":
            text = " ".join(words(directive)) + " "
            if told := [name.strip(' "') for name in SECRETS if name in text]:
                yield f"log_format: writes {', '.join(told)}"
        if directive.name == "error_log" and words(directive)[-1] not in {"warn", "error", "crit", "alert", "emerg"}:
            yield f"error_log: at {words(directive)[-1]} it quotes requests"


def clients_are_bounded(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Bad: nginx's own timeouts of 60 seconds, which hold hundreds of half-sent requests."""
    names = (
        "client_header_timeout",
        "client_body_timeout",
        "send_timeout",
        "keepalive_timeout",
        "large_client_header_buffers",
        "client_max_body_size",
    )
    for location in proxied(tree):
        for name in names:
            if not location.value(name):
                yield f"{location.title}: no {name}"


def tls_has_a_floor(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """Where TLS is spoken it is 1.2 or 1.3, forward secret, without tickets and early data.

    Bad: nginx's own defaults with a certificate; `ssl_protocols TLSv1;`; a public server that forgot `ssl`.
    """
    if policy.certificate is None:
        return
    wanted = {"ssl_protocols": " ".join(PROTOCOLS), "ssl_session_tickets": "off", "ssl_early_data": "off"}
    for location in proxied(tree):
        for name, value in wanted.items():
            if location.value(name) != value:
                yield f"{location.title}: {name} must be {value}"
        if not set(location.value("ssl_ciphers").split(":")) <= set(CIPHERS):
            yield f"{location.title}: ciphers beside the recommended ones"
        if any("ssl" not in entry for entry in location.in_force("listen")):
            yield f"{location.title}: reachable without TLS"


def _pages(tree: Tree) -> Iterator[Scope]:
    yield from (location for location in scopes(tree, "location") if location.own("internal"))


def _says_error_object(page: Scope) -> bool:
    returned = [words(node) for node in page.own("return")]
    try:
        body = json.loads(returned[0][1])
    except (IndexError, ValueError):
        return False
    error = body.get("error") if isinstance(body, dict) else None
    return isinstance(error, dict) and set(error) == {"message", "type", "param", "code", "request_id"}


RULES = (
    no_version_is_told,
    no_answer_loses_headers,
    errors_are_json,
    counters_are_private,
    logs_hold_no_secrets,
    clients_are_bounded,
    tls_has_a_floor,
)
