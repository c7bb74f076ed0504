"""Clients that dawdle are let go by a running nginx. The waits are shortened here; that they are the ladder's is the audit's business."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.raw import connect
from tests.edge.recorder import Seen
from tests.edge.running import Edge, running
from tests.edge.truth import CHAT, request

SHORT = re.compile(r"(client_header_timeout|client_body_timeout|send_timeout|keepalive_timeout) \d+s;(?=\n    [a-z])")


@pytest.fixture(scope="module")
def hasty(nginx: Path) -> Iterator[Edge]:
    """An edge that waits 200 ms for everything a client does."""
    with running(nginx, change=lambda text: SHORT.sub(r"\1 200ms;", text)) as edge:
        yield edge


def _closed_after_s(client: socket.socket) -> float:
    start = time.monotonic()
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - start


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"POST /v1/chat/compl",
        request(CHAT)[:60],
        request(CHAT, "Content-Length: 1000", length=False),
        request(CHAT, "Transfer-Encoding: chunked", body=b"5\r\nab", length=False),
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "half a chunk"],
)
def test_half_a_request_is_not_waited_for(hasty: Edge, said: bytes) -> None:
    hasty.recorder.seen.clear()
    with connect(hasty.port) as client:
        client.sendall(said.replace(b"HOST", f"llm.example.com:{hasty.port}".encode()))
        assert _closed_after_s(client) < 2
    assert hasty.recorder.seen == []


def test_an_idle_connection_is_closed(hasty: Edge) -> None:
    with connect(hasty.port) as client:
        client.sendall(request(CHAT).replace(b"HOST", f"llm.example.com:{hasty.port}".encode()))
        assert _closed_after_s(client) < 2


def test_a_client_that_takes_nothing_is_let_go_and_the_relay_is_told(hasty: Edge) -> None:
    told: list[float] = []

    def flood(connection: socket.socket, seen: Seen) -> bool:
        del seen
        start = time.monotonic()
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + bytes(64 << 20))
        except OSError:
            told.append(time.monotonic() - start)
        return False

    with hasty.recorder.answers(flood), connect(hasty.port) as client:
        client.sendall(request(CHAT).replace(b"HOST", f"llm.example.com:{hasty.port}".encode()))
        end = time.monotonic() + 4
        while not told and time.monotonic() < end:
            time.sleep(0.02)
    assert told
