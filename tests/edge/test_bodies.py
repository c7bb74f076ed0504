"""Request bodies through a running nginx: whole, in memory, and never on a disk."""

import re
import socket
import threading
import time
from pathlib import Path

from tests.edge.raw import ask, connect, read_reply
from tests.edge.recorder import Answering, Seen, answer
from tests.edge.running import Edge, running
from tests.edge.truth import CHAT, chunked, request

MEGABYTE = 1 << 20
SPILLED = "is buffered to a temporary file"
"""What nginx's error log says at `warn` when a body goes to a disk. The file itself is unlinked as soon as it is open."""


def _to(edge: Edge, data: bytes) -> bytes:
    return data.replace(b"HOST", f"llm.example.com:{edge.port}".encode())


def test_a_body_of_exactly_the_limit_arrives_whole_and_touches_no_disk(edge: Edge) -> None:
    body = bytes(range(256)) * (MEGABYTE // 256)
    while_asked: list[list[Path]] = []

    def say(connection: socket.socket, seen: Seen) -> bool:
        while_asked.append([path for path in (edge.folder / "tmp").rglob("*") if path.is_file()])
        return answer()(connection, seen)

    with edge.recorder.answers(say):
        assert ask(edge.port, _to(edge, request(body=body))).status == 200
        assert ask(edge.port, _to(edge, chunked(body=_in_chunks(body, 16 << 10)))).status == 200
        assert [seen.body == body for seen in edge.recorder.seen] == [True, True]
    assert while_asked == [[edge.folder / "tmp" / "no-bodies"]] * 2
    assert SPILLED not in edge.error_log()


def test_a_body_that_is_framed_to_overflow_the_buffer_fails_and_still_touches_no_disk(edge: Edge) -> None:
    edge.recorder.seen.clear()
    reply = ask(edge.port, _to(edge, chunked(body=_in_chunks(b"x" * 400_000, 1))))
    assert reply.status == 500
    assert reply.error["code"] == "internal_error"
    assert edge.recorder.seen == []
    assert SPILLED not in edge.error_log()


def test_the_same_body_does_reach_a_disk_where_a_folder_lets_it(nginx: Path) -> None:
    with running(
        nginx, change=lambda text: text.replace("client_body_temp_path tmp/no-bodies", "client_body_temp_path tmp/bodies")
    ) as weak:
        assert ask(weak.port, _to(weak, chunked(body=_in_chunks(b"x" * 400_000, 1)))).status == 200
        assert SPILLED in weak.error_log()


def test_nginxs_own_buffer_would_reach_a_disk_with_an_ordinary_prompt(nginx: Path) -> None:
    def own_buffer(text: str) -> str:
        kept = (line for line in text.splitlines() if "client_body_buffer_size" not in line)
        return "\n".join(kept).replace("tmp/no-bodies", "tmp/bodies")

    with running(nginx, change=own_buffer) as weak:
        assert ask(weak.port, _to(weak, request(body=b"x" * 64_000))).status == 200
        assert SPILLED in weak.error_log()


def test_a_half_sent_body_does_not_reach_the_relay(edge: Edge) -> None:
    edge.recorder.seen.clear()
    before = edge.recorder.connections
    with connect(edge.port) as client:
        client.sendall(_to(edge, request(CHAT, "Content-Length: 100", body=b"x" * 50, length=False)))
        time.sleep(0.1)
        assert (edge.recorder.connections, edge.recorder.seen) == (before, [])
        client.sendall(b"x" * 50)
        assert read_reply(client).status == 200
    assert len(edge.recorder.seen[0].body) == 100


def test_a_refused_body_is_not_read_as_the_next_request(edge: Edge) -> None:
    edge.recorder.seen.clear()
    inner = _to(edge, request())
    with connect(edge.port) as client:
        client.sendall(_to(edge, request("/v1/files", body=inner)) + _to(edge, request("/v1/embeddings", "Connection: close")))
        said = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"403", b"200"]
    assert [seen.line for seen in edge.recorder.seen] == ["POST /v1/embeddings HTTP/1.1"]


def test_a_client_that_does_not_read_holds_the_relay_back(edge: Edge) -> None:
    sent = threading.Semaphore(0)
    with edge.recorder.answers(_flood(sent)), connect(edge.port) as client:
        client.sendall(_to(edge, request()))
        time.sleep(0.3)
        megabytes = 0
        while sent.acquire(blocking=False):
            megabytes += 1
        assert megabytes < 32, "nginx took an answer that nobody reads"
        assert not [path for path in (edge.folder / "tmp").rglob("*") if path.is_file() and path.name != "no-bodies"]


def _flood(sent: threading.Semaphore) -> Answering:
    def say(connection: socket.socket, seen: Seen) -> bool:
        del seen
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for _ in range(256):
            connection.sendall(bytes(MEGABYTE))
            sent.release()
        return False

    return say


def _in_chunks(body: bytes, size: int) -> bytes:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
