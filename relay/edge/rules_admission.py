"""Rules about who gets in. Each is one function; its docstring holds a configuration that it finds fault with."""

from collections.abc import Iterator

from relay.edge.admission import PLAIN, preflight_line, request_line
from relay.edge.conf import Directive, Regex, Row, key_text, walk
from relay.edge.policy import Address, EdgePolicy
from relay.edge.scope import Scope, Tree, proxied, public_servers, rows, scopes, words

UNWANTED = {
    "alias": "serves files by a path that can be climbed",
    "auth_request": "sends the caller's key elsewhere",
    "autoindex": "lists files",
    "charset_map": "rewrites bytes",
    "dav_methods": "writes files",
    "fastcgi_pass": "forwards to something that isn't the relay",
    "grpc_pass": "forwards to something that isn't the relay",
    "include": "brings in lines that this audit has not seen",
    "index": "serves files",
    "load_module": "brings in code that this edge doesn't need",
    "mirror": "sends a prompt twice",
    "rewrite": "changes a path after it was judged",
    "root": "serves files",
    "scgi_pass": "forwards to something that isn't the relay",
    "slice": "asks the relay more than once",
    "ssi": "executes what an answer says",
    "sub_filter": "rewrites answers",
    "try_files": "serves files",
    "uwsgi_pass": "forwards to something that isn't the relay",
}


def the_three_agree(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """Route table, map keys and exact locations name the same requests.

    Bad: `location = /v1/files { proxy_pass http://relay; }` without a row in the map.
    """
    asked = [row for row in policy.admitted for _ in policy.protocols]
    lines = {request_line(row, protocol) for row in policy.admitted for protocol in policy.protocols}
    if policy.origins:
        lines |= {preflight_line(row, protocol) for row in asked for protocol in policy.protocols}
    keys = {key for key in rows(tree, "edge_line") if key != "default"}
    if keys != lines:
        yield f"the map of request lines differs from the route table: {sorted(keys ^ lines)}"
    locations = sorted(words(location.block)[-1] for location in proxied(tree))
    if locations != sorted(policy.paths):
        yield f"the published locations differ from the route table: {sorted(set(locations) ^ set(policy.paths))}"


def default_is_deny(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """A request passes only by a row that says so, and such a row demands every condition at once.

    Bad: `map $request $edge_line { default post; … }`.
    """
    if rows(tree, "edge_line").get("default") != "none":
        yield "an unknown request line must be `none`"
    if rows(tree, "edge_host").get("default") != "unknown":
        yield "an unknown Host must be `unknown`"
    if (asked := rows(tree, "edge_upgrade")).get("default") != "asked" or [key for key, value in asked.items() if value == "none"] != [""]:
        yield "an Upgrade header must not count as none"
    if rows(tree, "edge_transfer").get("default") != "coded":
        yield "an unforeseen Transfer-Encoding must be `coded`"
    passing = {key for key, value in rows(tree, "edge_verdict").items() if value == "pass"}
    if passing != {f"{row.method.lower()} {PLAIN}" for row in policy.admitted}:
        yield f"the verdict passes more or less than the admitted methods: {sorted(passing)}"


def nothing_is_forwarded_unjudged(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """The verdict stands before each proxy_pass.

    Bad: `location = /v1/chat/completions { proxy_pass http://relay; }`.
    """
    for location in proxied(tree):
        gates = [node for node in location.own("if") if words(node) == ("($edge_verdict", "!=", "pass)")]
        if not any(_answers(gate, "403") for gate in gates):
            yield f"{location.title}: forwards without asking for the verdict"


def locations_are_exact(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """A location is one exact path or the refusal of everything else.

    Bad: `location ^~ /v1 { … }`, `location ~ ^/v1/ { … }`.
    """
    for location in scopes(tree, "location"):
        at = words(location.block)
        if at != ("/",) and not (at[:1] == ("=",) and at[1:2] and at[1].startswith("/")):
            yield f"{location.title}: neither an exact path nor the catch-all"


def everything_else_is_refused(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Each server ends in a catch-all that refuses.

    Bad: a server without `location /`, or `location / { proxy_pass http://relay; }`.
    """
    for server in scopes(tree, "server"):
        catch_all = [Scope(node, (*server.above, server.block)) for node in server.own("location") if words(node) == ("/",)]
        if len(catch_all) != 1:
            yield f"{server.title}: needs exactly one `location /`"
        elif catch_all[0].proxies or not any(words(node)[0].startswith("4") for node in catch_all[0].own("return")):
            yield f"{server.title}: its `location /` does not refuse"


def nothing_unwanted(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """No directive that serves files, rewrites, or forwards elsewhere.

    Bad: `rewrite ^/api/(.*)$ /v1/$1;`, `alias /srv/;`, `include /etc/nginx/conf.d/*.conf;`.
    """
    for directive, _ in walk(tree):
        if directive.name in UNWANTED:
            yield f"{directive.name}: {UNWANTED[directive.name]}"


def patterns_judge_nothing(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """No pattern takes part in admission; the one there may be checks a list of header names that is reflected to a browser.

    Bad: `map $request $edge_line { "~^POST /v1/" post; }`.
    """
    for directive, _ in walk(tree):
        if directive.name == "map" and words(directive)[0] != "$http_access_control_request_headers":
            for row in directive.body or ():
                if isinstance(row, Row) and isinstance(row.key, Regex):
                    yield f"map {words(directive)[0]}: has a pattern, {key_text(row.key)}"


def ifs_only_answer(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """`if` stands in a location and does nothing but return: everything else about it surprises.

    Bad: `if ($http_origin) { add_header Access-Control-Allow-Origin $http_origin; }`.
    """
    for branch in scopes(tree, "if"):
        inside = [node.name for node in branch.block.body or () if isinstance(node, Directive)]
        if inside != ["return"] or branch.above[-1].name != "location":
            yield f"{branch.title}: may only return, and only in a location"


def strangers_are_closed(tree: Tree, _policy: EdgePolicy) -> Iterator[str]:
    """Each public address has a default server that forwards nothing and closes.

    Bad: `server { listen 80; server_name llm.example.com; … }` alone: nginx then answers any name with it.
    """
    listens: dict[str, list[Scope]] = {}
    for server in public_servers(tree):
        for listen in server.own("listen"):
            address, *options = words(listen)
            listens.setdefault(address, []).extend([server] if "default_server" in options else [])
    for address, defaults in listens.items():
        if len(defaults) != 1:
            yield f"listen {address}: needs exactly one default server"
        elif not _closes(defaults[0]):
            yield f"listen {address}: its default server must close the connection (444)"


def listeners_are_known(tree: Tree, policy: EdgePolicy) -> Iterator[str]:
    """Nothing listens but what the policy names, and one private socket.

    Bad: `server { listen 0.0.0.0:8081; location = /status { stub_status; } }`.
    """
    public = {spelling for address in (policy.listen, policy.cleartext) if address for spelling in _spellings(address)}
    for server in public_servers(tree):
        for listen in server.own("listen"):
            if words(listen)[0] not in public:
                yield f"{server.title}: listens on {words(listen)[0]}, which the settings don't name"


def _spellings(address: Address) -> set[str]:
    return {str(address.port), f"[::]:{address.port}"} if address.host is None else {f"{address.host}:{address.port}"}


def _answers(branch: Directive, status: str) -> bool:
    return any(isinstance(node, Directive) and node.name == "return" and words(node)[0] == status for node in branch.body or ())


def _closes(server: Scope) -> bool:
    locations = [node for node in server.own("location") if words(node) == ("/",)]
    return len(locations) == 1 and _answers(locations[0], "444")


RULES = (
    the_three_agree,
    default_is_deny,
    nothing_is_forwarded_unjudged,
    locations_are_exact,
    everything_else_is_refused,
    nothing_unwanted,
    patterns_judge_nothing,
    ifs_only_answer,
    strangers_are_closed,
    listeners_are_known,
)
