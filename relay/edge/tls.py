"""TLS as Mozilla recommends it, as dated data, and what happens to a name that isn't ours."""

from relay.edge.conf import Directive, block, line
from relay.edge.errors import CLEARTEXT, answer
from relay.edge.facts import EdgeUnavailable, Facts
from relay.edge.policy import Certificate, EdgePolicy

GUIDELINE = "Mozilla server-side TLS, intermediate, version 6.0 of 2026-04-06"
PROTOCOLS = ("TLSv1.2", "TLSv1.3")
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
HTTP2_STREAMS = 32


def tls(policy: EdgePolicy, facts: Facts) -> tuple[Directive, ...]:
    """Set the floor for every server that speaks TLS."""
    if policy.certificate is None:
        return ()
    if not facts.tls:
        msg = 'edge.tls needs an nginx with TLS, and this one has none; install another, or set tls = { mode = "off" } behind a proxy'
        raise EdgeUnavailable(msg)
    curves = [line("ssl_ecdh_curve", ":".join(facts.curves))] if facts.curves else []
    return (
        line("ssl_protocols", *PROTOCOLS, why=f"{GUIDELINE}; of its groups those that this nginx loads."),
        line("ssl_ciphers", ":".join(CIPHERS)),
        *curves,
        line("ssl_prefer_server_ciphers", "off"),
        line("ssl_session_cache", "shared:edge_tls:10m"),
        line("ssl_session_timeout", "1d"),
        line(
            "ssl_session_tickets",
            "off",
            why="No tickets (a key that is never rotated), no early data (a POST that can be replayed), small records (no token waits).",
        ),
        line("ssl_early_data", "off"),
        line("ssl_buffer_size", "4k"),
        *([line("http2_max_concurrent_streams", HTTP2_STREAMS)] if facts.http2 != "none" else []),
    )


def listen_words(policy: EdgePolicy, facts: Facts) -> tuple[str, ...]:
    """Give the words of `listen` that say which protocol is spoken."""
    if policy.certificate is None:
        return ()
    return ("ssl", "http2") if facts.http2 == "listen" else ("ssl",)


def protocol(policy: EdgePolicy, facts: Facts) -> tuple[Directive, ...]:
    """Switch HTTP/2 on where that is a directive of its own."""
    return (line("http2", "on"),) if policy.certificate and facts.http2 == "directive" else ()


def certificate(files: Certificate) -> tuple[Directive, ...]:
    """Name the files of the public name."""
    return (line("ssl_certificate", files.chain), line("ssl_certificate_key", files.key))


def for_strangers(files: Certificate, facts: Facts) -> tuple[Directive, ...]:
    """Turn an unknown name away in the handshake: no certificate, no name for scanners. An nginx that can't shows the certificate first."""
    return (line("ssl_reject_handshake", "on"),) if facts.reject_handshake else certificate(files)


def https_only(policy: EdgePolicy) -> Directive:
    """Refuse plain HTTP. Not a redirect: the key has already crossed in clear, and a client that follows would do it again each time."""
    return block(
        "location",
        "/",
        body=answer(policy, CLEARTEXT),
        why="Refused, not redirected: the key has already crossed in clear, and would again each time.",
    )
