"""Free ports, each for one run."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from relay.demo.fault import CannotRun
from relay.demo.ports import LOOPBACK, Ports


@pytest.fixture
def ports() -> Iterator[Ports]:
    with contextlib.closing(Ports()) as ports:
        yield ports


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        yield port


def test_a_busy_port_is_passed_over(ports: Ports, busy: int) -> None:
    assert ports.first_free(busy) > busy


def test_a_busy_port_that_was_asked_for_is_refused(ports: Ports, busy: int) -> None:
    with pytest.raises(CannotRun, match=rf"PORT={busy}: another program listens there"):
        ports.exactly(str(busy))


def test_two_runs_never_get_the_same_port(ports: Ports) -> None:
    with contextlib.closing(Ports()) as others:
        start = ports.any()
        assert others.first_free(start) != start
        with pytest.raises(CannotRun):
            others.exactly(str(start))


def test_a_port_is_free_again_when_its_run_has_ended(ports: Ports) -> None:
    with contextlib.closing(Ports()) as others:
        port = others.any()
    assert ports.exactly(str(port)) == port


def test_a_server_can_listen_on_a_claimed_port(ports: Ports) -> None:
    with socket.create_server((LOOPBACK, ports.any())):
        pass


def test_a_port_whose_last_connections_are_fading_away_is_free(ports: Ports) -> None:
    server = socket.create_server((LOOPBACK, 0))
    port = server.getsockname()[1]
    client = socket.create_connection((LOOPBACK, port))
    server.accept()[0].close()  # closing first, the server's side is the one that lingers
    client.close()
    server.close()
    assert ports.exactly(str(port)) == port


def test_zero_means_any_port(ports: Ports) -> None:
    assert ports.exactly("0") > 0


@pytest.mark.parametrize("wanted", ["http", "-1", "65536", "80.5", " 80", "٨٠"])
def test_what_is_no_port_is_refused(ports: Ports, wanted: str) -> None:
    with pytest.raises(CannotRun, match="is not a port"):
        ports.exactly(wanted)


def test_no_free_port_at_all_is_said(ports: Ports, monkeypatch: pytest.MonkeyPatch, busy: int) -> None:
    monkeypatch.setattr("relay.demo.ports._WITHIN", 1)
    with pytest.raises(CannotRun, match=f"none from {busy} to {busy} is free"):
        ports.first_free(busy)
