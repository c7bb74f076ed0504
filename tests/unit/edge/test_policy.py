"""Settings become decisions: names, addresses, what is admitted, and one digest for all that shapes the edge."""

from pathlib import Path

import pytest

from relay.config.ladder import RELAY_KEEPALIVE_S
from relay.config.schema import Settings
from relay.domain.endpoints import ENDPOINTS
from relay.edge.policy import Address, Admitted, Certificate, edge_policy, settings_digest
from tests.unit.edge.edges import HOME, OPEN, TLS, policy, settings


def test_every_path_of_the_route_table_is_admitted_to_post_with_the_body_limit() -> None:
    assert policy(body_limit="5m").admitted == tuple(Admitted("POST", endpoint.path, 5 << 20) for endpoint in ENDPOINTS)


def test_the_model_list_is_one_more_row_when_it_is_opened() -> None:
    assert policy(allow_get_models=True).admitted[-1] == Admitted("GET", "/v1/models", 1024)
    assert "/v1/models" not in policy().paths


@pytest.mark.parametrize(
    ("edge", "listen", "cleartext"),
    [
        ({}, Address(None, 80), None),
        ({"tls": TLS}, Address(None, 443), Address(None, 80)),
        ({"listen": "127.0.0.1:8080"}, Address("127.0.0.1", 8080), None),
        ({"listen": "[::1]:8443", "tls": TLS}, Address("[::1]", 8443), None),
        ({"listen": "10.0.0.1:443", "tls": TLS}, Address("10.0.0.1", 443), Address("10.0.0.1", 80)),
        ({"listen": "0.0.0.0:80"}, Address(None, 80), None),
        ({"listen": "[::]:80"}, Address(None, 80), None),
        ({"listen": "*:8080"}, Address(None, 8080), None),
    ],
)
def test_it_listens_where_the_settings_say(edge: dict[str, object], listen: Address, cleartext: Address | None) -> None:
    made = policy(**edge)
    assert (made.listen, made.cleartext) == (listen, cleartext)


@pytest.mark.parametrize(
    ("edge", "authorities"),
    [
        ({}, ("llm.example.com", "llm.example.com:80")),
        ({"tls": TLS}, ("llm.example.com", "llm.example.com:443")),
        ({"listen": "10.0.0.1:8080"}, ("llm.example.com", "llm.example.com:8080")),
        ({"listen": "10.0.0.1:8080", "real_ip_from": ["10.0.0.2"]}, ("llm.example.com", "llm.example.com:8080", "10.0.0.1:8080")),
        ({"listen": "127.0.0.1:8080"}, ("llm.example.com", "llm.example.com:8080", "localhost:8080", "127.0.0.1:8080")),
        ({"listen": "127.0.0.2:8080"}, ("llm.example.com", "llm.example.com:8080", "localhost:8080", "127.0.0.2:8080")),
        ({"listen": "[::1]:8080", "domain": "localhost"}, ("localhost", "localhost:8080", "[::1]:8080")),
        ({"listen": "localhost:8080", "domain": "localhost"}, ("localhost", "localhost:8080", "127.0.0.1:8080")),
        (
            {"listen": "127.0.0.1:80"},
            ("llm.example.com", "llm.example.com:80", "localhost:80", "127.0.0.1:80", "localhost", "127.0.0.1"),
        ),
    ],
)
def test_only_exact_names_with_our_port_are_ours(edge: dict[str, object], authorities: tuple[str, ...]) -> None:
    assert policy(**edge).authorities == authorities


def test_loopback_names_are_ours_on_a_loopback_alone() -> None:
    assert policy(listen="127.0.0.1:8080").names == ("llm.example.com", "localhost", "127.0.0.1")
    assert policy(listen="0.0.0.0:8080").names == ("llm.example.com",)
    assert not Address("llm.example.com", 1).is_loopback
    assert not Address(None, 1).is_loopback


def test_http2_comes_with_tls_and_http10_when_it_is_opened() -> None:
    assert policy().protocols == ("HTTP/1.1",)
    assert policy(tls=TLS).protocols == ("HTTP/1.1", "HTTP/2.0")
    assert policy(http10=True).protocols == ("HTTP/1.1", "HTTP/1.0")


def test_relative_paths_are_taken_from_the_folder_of_the_file() -> None:
    made = policy(tls=TLS)
    assert made.certificate == Certificate(str(HOME / "chain.pem"), str(HOME / "key.pem"))
    assert made.relay == "unix:/etc/postgate/run/relay.sock"
    assert policy(server={"listen": "unix:/run/x.sock"}).relay == "unix:/run/x.sock"


@pytest.mark.parametrize(
    ("listen", "relay"), [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("*:1", "127.0.0.1:1"), ("10.0.0.1:1", "10.0.0.1:1")]
)
def test_an_address_to_listen_on_becomes_one_to_connect_to(listen: str, relay: str) -> None:
    assert policy(server={"listen": listen}).relay == relay


def test_origins_are_spelled_as_browsers_do_and_named_once() -> None:
    assert policy(cors_origins=["https://Chat.example.com", "https://chat.example.com"]).origins == ("https://chat.example.com",)


def test_waits_come_from_the_ladder_and_end_before_the_relays() -> None:
    waits = policy(read_timeout="7m", server={"total_timeout": "20m"}).waits
    assert (waits.relay_read_s, waits.shutdown_s) == (420, 1230)
    assert waits.relay_idle_s < RELAY_KEEPALIVE_S


def test_the_digest_changes_with_what_shapes_the_edge_and_with_nothing_else() -> None:
    plain = settings()
    others = [settings(**{name: value}) for name, value in OPEN.items()]
    others += [
        settings(tls=TLS),
        settings(server={"listen": "127.0.0.1:1"}),
        settings(server={"total_timeout": "1h"}),
        settings(body_limit="1m"),
    ]
    digests = [settings_digest(each) for each in (plain, *others)]
    assert len(set(digests)) == len(digests)
    channel = {"name": "a", "base_url": "https://example.com/v1", "models": ["m"], "keys": ["env:SECRET"]}
    same = Settings.model_validate(
        {"server": {"drain": "1m", "log_level": "debug"}, "edge": {"domain": "llm.example.com"}, "channel": [channel]}
    )
    assert settings_digest(same) == digests[0]
    assert digests[0].startswith("sha256:")


def test_a_policy_is_the_same_for_the_same_settings() -> None:
    assert edge_policy(settings(**OPEN), Path("/a")) == edge_policy(settings(**OPEN), Path("/a"))
