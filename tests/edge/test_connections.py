"""Connections between a running nginx and the relay: kept, never shared wrongly, and what is said when there is none."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.raw import ask, connect, say
from tests.edge.recorder import Seen, answer
from tests.edge.running import Edge, running
from tests.edge.truth import request


def _request(edge: Edge) -> bytes:
    return request().replace(b"HOST", f"llm.example.com:{edge.port}".encode())


def test_a_hundred_requests_in_a_row_use_at_most_two_connections_to_the_relay(edge: Edge) -> None:
    before = edge.recorder.connections
    for _ in range(50):
        assert ask(edge.port, _request(edge)).status == 200
    with connect(edge.port) as client:
        for _ in range(50):
            assert say(client, _request(edge)).status == 200
    assert edge.recorder.connections - before <= 2


def test_a_connection_that_the_relay_closed_is_not_used_again(edge: Edge) -> None:
    with edge.recorder.answers(answer(headers=((b"Connection", b"close"),), then_close=True)):
        assert [ask(edge.port, _request(edge)).status for _ in range(10)] == [200] * 10


@pytest.fixture(scope="module")
def lonely(nginx: Path) -> Iterator[Edge]:
    """An edge whose relay can be taken away, and that waits for it only a moment."""
    with running(nginx, {"read_timeout": "200ms"}) as edge:
        yield edge


def test_a_relay_that_says_nothing_is_given_up_and_not_asked_twice(lonely: Edge) -> None:
    def silent(connection: socket.socket, seen: Seen) -> bool:
        del seen
        connection.settimeout(5)
        return connection.recv(1) != b""

    with lonely.recorder.answers(silent):
        reply = ask(lonely.port, _request(lonely))
        time.sleep(0.05)
        assert len(lonely.recorder.seen) == 1
    assert (reply.status, reply.error["code"]) == (504, "relay_timeout")
    assert (reply.header("X-Should-Retry"), reply.header("Retry-After")) == (["false"], [])


def test_a_relay_that_hangs_up_without_an_answer_is_a_502_and_not_asked_twice(lonely: Edge) -> None:
    with lonely.recorder.answers(lambda _connection, _seen: False):
        reply = ask(lonely.port, _request(lonely))
        assert len(lonely.recorder.seen) == 1
    assert (reply.status, reply.error["code"], reply.header("Retry-After")) == (502, "relay_unavailable", ["2"])


def test_a_relay_that_is_down_is_a_502_with_an_error_object(lonely: Edge) -> None:
    lonely.recorder.close()
    reply = ask(lonely.port, _request(lonely))
    assert (reply.status, reply.error["code"], reply.header("Retry-After")) == (502, "relay_unavailable", ["2"])
    assert [reply.error["request_id"]] == reply.header("X-Request-Id")
