"""Streams through a running nginx: every piece at once, a cut visible as a cut, a client that leaves noticed."""

import signal
import socket
import threading
import time
from pathlib import Path

from tests.edge.raw import connect
from tests.edge.recorder import Answering, Seen
from tests.edge.running import Edge, running
from tests.edge.truth import request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
GAP_S = 0.02


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


def stream(pieces: int, *, more_headers: bytes = b"", end: bytes = b"0\r\n\r\n") -> Answering:
    """Answer with a token every 20 ms, each holding the time at which it was sent."""

    def say(connection: socket.socket, seen: Seen) -> bool:
        del seen
        connection.sendall(HEAD + more_headers + b"\r\n")
        for _ in range(pieces):
            time.sleep(GAP_S)
            connection.sendall(chunk(b"data: %d\n\n" % time.monotonic_ns()))
        connection.sendall(end)
        return bool(end)

    return say


def read_all(client: socket.socket) -> tuple[list[tuple[int, bytes]], bytes]:
    """Read to the end of the connection: (when, piece) for each read, and everything."""
    pieces = []
    while piece := client.recv(1 << 16):
        pieces.append((time.monotonic_ns(), piece))
        if piece.endswith(b"0\r\n\r\n"):
            break
    return pieces, b"".join(piece for _, piece in pieces)


def ask_for_stream(edge: Edge, *lines: str) -> socket.socket:
    client = connect(edge.port)
    client.sendall(request("/v1/chat/completions", *lines).replace(b"HOST", f"llm.example.com:{edge.port}".encode()))
    return client


def test_each_piece_arrives_alone_and_at_once(edge: Edge) -> None:
    with edge.recorder.answers(stream(10)), ask_for_stream(edge) as client:
        pieces, _ = read_all(client)
    arrived = [(at, int(piece.split(b"data: ")[1].split()[0])) for at, piece in pieces if b"data: " in piece]
    assert len(arrived) == 10
    delays_ms = sorted((at - sent) / 1e6 for at, sent in arrived)
    assert delays_ms[5] < 10, f"half of the pieces were delayed: {delays_ms}"


def test_a_provider_can_not_turn_buffering_back_on_and_a_client_can_not_ask_for_compression(edge: Edge) -> None:
    with (
        edge.recorder.answers(stream(10, more_headers=b"X-Accel-Buffering: yes\r\n")),
        ask_for_stream(edge, "Accept-Encoding: gzip") as client,
    ):
        pieces, whole = read_all(client)
    assert sum(b"data: " in piece for _, piece in pieces) == 10
    assert b"Content-Encoding" not in whole
    assert b"X-Accel-Buffering: no" in whole


def test_a_relay_that_dies_amid_a_stream_is_seen_as_a_cut(edge: Edge) -> None:
    with edge.recorder.answers(stream(3, end=b"")), ask_for_stream(edge) as client:
        _, whole = read_all(client)
    assert whole.count(b"data: ") == 3
    assert not whole.endswith(b"0\r\n\r\n")


def test_a_client_that_leaves_amid_a_stream_stops_the_relay(edge: Edge) -> None:
    assert _noticed_after_leaving(edge, reads_first=True)


def test_a_client_that_leaves_before_the_first_byte_stops_the_relay(edge: Edge) -> None:
    assert _noticed_after_leaving(edge, reads_first=False)


def _noticed_after_leaving(edge: Edge, *, reads_first: bool) -> bool:
    noticed, asked = threading.Event(), threading.Event()

    def say(connection: socket.socket, seen: Seen) -> bool:
        del seen
        if reads_first:
            connection.sendall(HEAD + b"\r\n" + chunk(b"data: 1\n\n"))
        asked.set()
        connection.settimeout(5)
        if connection.recv(1) == b"":
            noticed.set()
        return False

    with edge.recorder.answers(say):
        with ask_for_stream(edge) as client:
            assert asked.wait(5)
            while reads_first and b"data: 1" not in client.recv(4096):
                pass
        return noticed.wait(5)


def test_a_reload_lets_open_streams_finish(nginx: Path) -> None:
    with running(nginx) as own, own.recorder.answers(stream(15)), ask_for_stream(own) as client:
        first = client.recv(4096)
        own.process.send_signal(signal.SIGHUP)
        _, rest = read_all(client)
    assert (first + rest).count(b"data: ") == 15
    assert rest.endswith(b"0\r\n\r\n")
