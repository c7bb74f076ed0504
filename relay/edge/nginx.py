"""The complete configuration, put together: EdgePolicy and Facts become one directive tree.

Each part is in the file of its topic: process, limits, log, admission, errors, headers, proxy, tls, status. Here is only the
order in which they stand, and which server has which.
"""

from relay.edge import admission, cors, errors, headers, limits, log, proxy, status, tls
from relay.edge.conf import Directive, Row, block, key_text, line, size
from relay.edge.facts import Facts
from relay.edge.policy import Address, EdgePolicy
from relay.edge.process import Site, folders, process


def nginx_tree(policy: EdgePolicy, facts: Facts, site: Site) -> tuple[Directive, ...]:
    """Build the whole nginx.conf."""
    maps = (*admission.maps(policy), *cors.maps(policy), *headers.maps(policy), *errors.denial_maps(), *log.maps(policy))
    return (
        *process(policy, facts, site),
        block(
            "http",
            body=(
                line(
                    "default_type",
                    "application/json",
                    why="Whatever this server says is JSON; no file is ever served, so no other type is known.",
                ),
                block("types", body=()),
                line("server_tokens", "off", why="No version anywhere; no compression, which would collect tokens before it sends them."),
                line("gzip", "off"),
                line("tcp_nodelay", "on"),
                *_hash_sizes(policy, maps),
                *folders(facts),
                *limits.client_limits(policy, facts),
                *limits.client_address(policy, facts),
                *limits.zones(policy),
                *maps,
                *log.access_log(policy),
                *tls.tls(policy, facts),
                proxy.upstream(policy),
                *_servers(policy, facts),
                *status.private_listener(policy, facts, site),
            ),
        ),
    )


def _servers(policy: EdgePolicy, facts: Facts) -> tuple[Directive, ...]:
    strangers = block(
        "server",
        body=(
            *_listen(policy.listen, facts, *tls.listen_words(policy, facts), "default_server"),
            *tls.protocol(policy, facts),
            *(tls.for_strangers(policy.certificate, facts) if policy.certificate else ()),
            *errors.error_pages(policy, only_early=True),
            *errors.error_locations(policy, only_early=True),
            admission.nobody(policy),
        ),
        why="Every name that isn't ours, and every request that has none: closed without an answer. A malformed request is told so.",
    )
    return (strangers, _public(policy, facts), *(_cleartext(policy, policy.cleartext, facts) if policy.cleartext else ()))


def _public(policy: EdgePolicy, facts: Facts) -> Directive:
    limit_by_path = {row.path: row.body_limit for row in policy.admitted}
    gate = (*admission.gate(policy), *limits.limited(policy))
    published = (block("location", "=", path, body=(*gate, *proxy.pass_on(limit))) for path, limit in limit_by_path.items())
    unpublished_limit = max(limit_by_path.values())
    return block(
        "server",
        body=(
            *_listen(policy.listen, facts, *tls.listen_words(policy, facts)),
            *tls.protocol(policy, facts),
            line("server_name", *policy.names),
            *(tls.certificate(policy.certificate) if policy.certificate else ()),
            admission.judge_early(),
            *headers.to_client(
                policy,
                *cors.preflight_headers(policy),
                why="On every answer, the relay's included. X-Accel-Buffering asks an outer nginx not to buffer either.",
            ),
            *proxy.forwarding(policy),
            *errors.error_pages(policy),
            line(
                "client_max_body_size",
                size(unpublished_limit),
                why="For paths that are refused anyway: a smaller limit would answer a wrong path with 413.",
            ),
            *published,
            admission.everything_else(policy),
            *errors.error_locations(policy),
        ),
        why=f"The public endpoint {policy.domain}.",
    )


def _cleartext(policy: EdgePolicy, address: Address, facts: Facts) -> tuple[Directive, ...]:
    def server(*words: str, names: tuple[Directive, ...], location: Directive, why: str) -> Directive:
        pages = (*errors.error_pages(policy, only_early=True), *errors.error_locations(policy, only_early=True))
        return block("server", body=(*_listen(address, facts, *words), *names, *pages, location), why=why)

    return (
        server(
            "default_server",
            names=(),
            location=block("location", "/", body=(line("return", 444),)),
            why="Plain HTTP for names that aren't ours.",
        ),
        server(names=(line("server_name", *policy.names),), location=tls.https_only(policy), why="Plain HTTP for the public name."),
    )


def _listen(address: Address, facts: Facts, *words: str) -> tuple[Directive, ...]:
    if address.host is not None:
        return (line("listen", f"{address.host}:{address.port}", *words),)
    ipv6 = (line("listen", f"[::]:{address.port}", *words),) if facts.ipv6 else ()
    return (line("listen", str(address.port), *words), *ipv6)


def _hash_sizes(policy: EdgePolicy, maps: tuple[Directive, ...]) -> tuple[Directive, ...]:
    keys = [len(key_text(row.key).encode()) for table in maps for row in table.body or () if isinstance(row, Row)]
    return (
        line(
            "map_hash_bucket_size",
            _bucket(max(keys)),
            why="Room for the longest of the keys, names and headers below, which nginx else refuses to start with.",
        ),
        line("server_names_hash_bucket_size", _bucket(max(len(name) for name in policy.names))),
        line("variables_hash_max_size", 2048),
        line("proxy_headers_hash_max_size", 1024),
        line("proxy_headers_hash_bucket_size", 128),
    )


def _bucket(longest_key: int) -> int:
    """A bucket holds its key, the key's length, a pointer and an end mark, and is a power of two that a cache line divides."""
    bucket = 64
    while bucket < longest_key + 32:
        bucket *= 2
    return bucket
