"""Rules about the way to the relay and back. Each is one function; its docstring holds a configuration that it finds fault with."""

from collections.abc import Iterator

from relay.config.ladder import RELAY_KEEPALIVE_S
from relay.config.units import size_bytes
from relay.edge.conf import seconds, size, walk
from relay.edge.headers import FROM_CLIENT, STEERING
from relay.edge.policy import EdgePolicy
from relay.edge.process import NO_BODIES
from relay.edge.proxy import UPSTREAM
from relay.edge.scope import Tree, proxied, scopes, words

_IGNORED = [name for name in STEERING if name.startswith("X-Accel-")]


def only_the_relay_is_reached(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """One upstream with one server, and that is the relay's public listener.

    Bad: `proxy_pass http://$http_host;`, `upstream relay { server 127.0.0.1:8101; }` with the admin listener there.
    """
    for location in proxied(tree):
        if location.value("proxy_pass") != f"http://{UPSTREAM}":
            yield f"{location.title}: forwards to {location.value('proxy_pass')!r}"
    servers = [words(node)[0] for upstream in scopes(tree, "upstream") for node in upstream.own("server")]
    if servers != [policy.relay]:
        yield f"the upstream is {servers}, not the relay at {policy.relay}"
    for directive, _ in walk(tree):
        if any(policy.admin in word for word in words(directive)):
            yield f"{directive.name}: names the admin listener"


def answers_are_not_held_back(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Nothing between the relay and the client collects tokens.

    Bad: `proxy_buffering on;`, `gzip on;`, no `proxy_ignore_headers X-Accel-Buffering;`.
    """
    wanted = {"proxy_buffering": "off", "proxy_max_temp_file_size": "0", "gzip": "off", "proxy_http_version": "1.1"}
    for location in proxied(tree):
        for name, value in wanted.items():
            if location.value(name) != value:
                yield f"{location.title}: {name} must be {value}"


def bodies_stay_in_memory(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """A body as large as the limit fits the buffer, and there is no folder to spill into.

    Bad: `client_max_body_size 20m;` with nginx's own `client_body_buffer_size` of 16k.
    """
    limits = {row.path: row.body_limit for row in policy.admitted}
    for location in proxied(tree):
        limit = limits.get(words(location.block)[-1], 0)
        if location.value("client_max_body_size") != size(limit):
            yield f"{location.title}: client_max_body_size must be {size(limit)}"
        if size_bytes(location.value("client_body_buffer_size") or 0) < limit:
            yield f"{location.title}: client_body_buffer_size must be at least the body limit"
        if (location.value("proxy_request_buffering"), location.value("client_body_in_file_only")) != ("on", "off"):
            yield f"{location.title}: bodies must be read whole, and not into files"
        if location.value("client_body_temp_path") != NO_BODIES:
            yield f"{location.title}: client_body_temp_path must be {NO_BODIES}, which is no folder"


def headers_are_rebuilt(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """Only listed headers pass, each under its own name; the rest is ours.

    Bad: `proxy_pass_request_headers on;`, or a location with one `proxy_set_header` of its own, which drops all outer ones.
    """
    ours = {
        "Host": policy.domain,
        "Connection": "",
        "X-Real-IP": "$remote_addr",
        "X-Forwarded-For": "$remote_addr",
        "X-Request-Id": "$request_id",
        "X-Edge-Start": "$msec",
    }
    listed = {name: f"$http_{name.lower().replace('-', '_')}" for name in FROM_CLIENT}
    for location in proxied(tree):
        if location.value("proxy_pass_request_headers") != "off":
            yield f"{location.title}: passes every header of the client"
        sent = location.in_force("proxy_set_header")
        if len(sent) != len(ours) + len(listed) or dict(entry for entry in sent if len(entry) == 2) != {**ours, **listed}:  # noqa: PLR2004
            yield f"{location.title}: its headers to the relay are not those of the list"


def no_forged_identity(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Nothing that the client says about itself is used as what it is.

    Bad: `proxy_set_header Host $http_host;`, `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`.
    """
    said = (
        "$http_host",
        "$host",
        "$proxy_add_x_forwarded_for",
        "$http_x_forwarded_for",
        "$http_x_real_ip",
        "$http_forwarded",
        "$http_cf_connecting_ip",
    )
    for directive, above in walk(tree):
        if directive.name == "map" and words(directive)[0] == "$http_host":
            continue
        if used := [word for word in words(directive) if any(name in word for name in said)]:
            yield f"{' > '.join(block.name for block in above)} > {directive.name}: relies on {used[0]}"


def the_relay_does_not_steer(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """A provider's X-Accel-* header does nothing here.

    Bad: no `proxy_ignore_headers`: X-Accel-Redirect then fetches another location.
    """
    for location in proxied(tree):
        ignored = {word for entry in location.in_force("proxy_ignore_headers") for word in entry}
        if missing := [name for name in _IGNORED if name not in ignored]:
            yield f"{location.title}: obeys {', '.join(missing)}"


def one_try_and_no_more(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """A paid request is sent once, its errors pass, and a client that leaves ends it.

    Bad: nginx's own `proxy_next_upstream error timeout;`, `proxy_ignore_client_abort on;`.
    """
    for location in proxied(tree):
        for name in ("proxy_next_upstream", "proxy_intercept_errors", "proxy_ignore_client_abort"):
            if location.value(name) != "off":
                yield f"{location.title}: {name} must be off"


def kept_connections_end_here_first(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """The edge drops an idle connection to the relay before the relay would.

    Bad: `keepalive_timeout 75s;` on both sides: some POST meets a connection that is just being closed.
    """
    for upstream in scopes(tree, "upstream"):
        if not upstream.own("keepalive"):
            yield f"{upstream.title}: keeps no connections"
        if upstream.value("keepalive_timeout") != seconds(policy.waits.relay_idle_s) or policy.waits.relay_idle_s >= RELAY_KEEPALIVE_S:
            yield f"{upstream.title}: keepalive_timeout must be {seconds(policy.waits.relay_idle_s)}, below the relay's own"


def waits_come_from_the_ladder(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """The edge bears the relay's longest silence, and a reload bears the longest stream.

    Bad: nginx's own `proxy_read_timeout 60s;`.
    """
    waits = policy.waits
    wanted = {
        "proxy_read_timeout": waits.relay_read_s,
        "proxy_connect_timeout": waits.relay_connect_s,
        "worker_shutdown_timeout": waits.shutdown_s,
    }
    top = {directive.name: words(directive) for directive, above in walk(tree) if not above}
    for location in proxied(tree):
        for name, value_s in wanted.items():
            held = location.value(name) or " ".join(top.get(name, ()))
            if held != seconds(value_s):
                yield f"{location.title}: {name} must be {seconds(value_s)}"


def takers_are_limited(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Each published location counts requests and streams per client address.

    Bad: a location without `limit_req`.
    """
    for location in proxied(tree):
        for name in ("limit_req", "limit_conn"):
            if not location.in_force(name):
                yield f"{location.title}: has no {name}"


RULES = (
    only_the_relay_is_reached,
    answers_are_not_held_back,
    bodies_stay_in_memory,
    headers_are_rebuilt,
    no_forged_identity,
    the_relay_does_not_steer,
    one_try_and_no_more,
    kept_connections_end_here_first,
    waits_come_from_the_ladder,
    takers_are_limited,
)
