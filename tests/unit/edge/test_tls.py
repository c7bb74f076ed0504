"""TLS: Mozilla's floor, groups that load, and no certificate for strangers."""

from dataclasses import replace

import pytest

from relay.edge.conf import print_tree
from relay.edge.facts import EdgeUnavailable
from relay.edge.policy import Certificate
from relay.edge.scope import words
from relay.edge.tls import CIPHERS, certificate, for_strangers, https_only, listen_words, protocol, tls
from tests.unit.edge.edges import BARE, FACTS, TLS, policy

FILES = Certificate("/chain.pem", "/key.pem")


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls(policy(), FACTS) == ()
    assert listen_words(policy(), FACTS) == ()
    assert protocol(policy(), FACTS) == ()


def test_the_floor_is_mozillas_intermediate() -> None:
    lines = {line.name: words(line) for line in tls(policy(tls=TLS), FACTS)}
    assert lines["ssl_protocols"] == ("TLSv1.2", "TLSv1.3")
    assert lines["ssl_session_tickets"] == lines["ssl_early_data"] == lines["ssl_prefer_server_ciphers"] == ("off",)
    assert lines["ssl_ecdh_curve"] == ("X25519:prime256v1:secp384r1",)
    assert all(cipher.startswith("ECDHE-") and ("GCM" in cipher or "CHACHA20" in cipher) for cipher in CIPHERS)


def test_where_no_group_could_be_asked_for_nginxs_own_choice_stands() -> None:
    assert "ssl_ecdh_curve" not in {line.name for line in tls(policy(tls=TLS), replace(FACTS, curves=()))}


@pytest.mark.parametrize(
    ("http2", "listen", "directives"), [("directive", ("ssl",), 1), ("listen", ("ssl", "http2"), 0), ("none", ("ssl",), 0)]
)
def test_http2_is_switched_on_in_the_form_that_this_nginx_knows(http2: str, listen: tuple[str, ...], directives: int) -> None:
    facts = replace(FACTS, http2=http2)  # type: ignore[arg-type] # a parameter is a plain text
    assert listen_words(policy(tls=TLS), facts) == listen
    assert len(protocol(policy(tls=TLS), facts)) == directives


def test_a_stranger_is_turned_away_in_the_handshake_or_else_shown_our_certificate() -> None:
    assert print_tree(for_strangers(FILES, FACTS)) == "ssl_reject_handshake on;\n"
    assert for_strangers(FILES, BARE) == certificate(FILES)


def test_an_nginx_without_tls_is_refused_with_the_way_out() -> None:
    with pytest.raises(EdgeUnavailable, match=r"edge.tls needs an nginx with TLS"):
        tls(policy(tls=TLS), BARE)


def test_plain_http_is_refused_in_json_and_not_redirected() -> None:
    printed = print_tree([https_only(policy(tls=TLS))])
    assert "https_required" in printed
    assert "301" not in printed
