"""Limits per client address on a running nginx: refused with an error object that says when to come back."""

import socket
import threading
import time
from pathlib import Path

from tests.edge.raw import Reply, ask, connect
from tests.edge.recorder import Seen, answer
from tests.edge.running import DOMAIN, Edge, running
from tests.edge.truth import request


def _ask(edge: Edge, path: str = "/v1/chat/completions") -> Reply:
    return ask(edge.port, request(path).replace(b"HOST", f"{DOMAIN}:{edge.port}".encode()))


def test_requests_above_rate_and_burst_are_told_to_wait(nginx: Path) -> None:
    with running(nginx, {"rate_limit": {"per_ip": "1/m", "burst": 3, "connections": 10}}) as edge:
        replies = [_ask(edge) for _ in range(6)]
        assert [reply.status for reply in replies] == [200] * 4 + [429] * 2
        refused = replies[-1]
        assert (refused.error["code"], refused.error["type"], refused.header("Retry-After")) == (
            "rate_limit_exceeded",
            "rate_limit_error",
            ["1"],
        )
        assert refused.header("X-Should-Retry") == []
        assert [refused.error["request_id"]] == refused.header("X-Request-Id")
        assert _ask(edge, "/v1/files").status == 403, "a refusal costs nothing and is not counted"


def test_without_a_burst_the_second_request_at_once_is_refused(nginx: Path) -> None:
    with running(nginx, {"rate_limit": {"per_ip": "1/m", "burst": 0, "connections": 10}}) as edge:
        assert [_ask(edge).status for _ in range(2)] == [200, 429]


def test_more_streams_than_allowed_are_refused_and_a_finished_one_makes_room(nginx: Path) -> None:
    release, waiting = threading.Event(), threading.Semaphore(0)

    def slow(connection: socket.socket, seen: Seen) -> bool:
        waiting.release()
        release.wait(5)
        return answer()(connection, seen)

    limits = {"per_ip": "1000/s", "burst": 100, "connections": 2}
    with running(nginx, {"rate_limit": limits}) as edge, edge.recorder.answers(slow), connect(edge.port) as one, connect(edge.port) as two:
        for client in (one, two):
            client.sendall(request().replace(b"HOST", f"{DOMAIN}:{edge.port}".encode()))
            assert waiting.acquire(timeout=5)
        assert _ask(edge).status == 429
        release.set()
        assert [client.recv(4096)[:12] for client in (one, two)] == [b"HTTP/1.1 200"] * 2
        time.sleep(0.05)
        assert _ask(edge).status == 200


def test_the_default_limits_do_not_throttle_a_person_at_work(nginx: Path) -> None:
    with running(nginx, {"rate_limit": {}}) as edge:
        assert {_ask(edge).status for _ in range(30)} == {200}
