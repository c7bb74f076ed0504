"""A client that says exactly the bytes a test wants, and reads what comes back without an opinion."""

import contextlib
import json
import socket
from dataclasses import dataclass

TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Reply:
    """What came back. Status 0: the connection was closed without a word."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def error(self) -> dict[str, object]:
        """The OpenAI error object."""
        error = json.loads(self.body)["error"]
        assert isinstance(error, dict)
        return error


CLOSED = Reply(0, (), b"", b"")


def ask(port: int, request: bytes) -> Reply:
    """Send bytes on a fresh connection and read one answer."""
    with connect(port) as connection:
        return say(connection, request)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)


def say(connection: socket.socket, request: bytes) -> Reply:
    """Send bytes and read one answer. A server that closed early may still have answered."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(request)
    return read_reply(connection, to_head=request.startswith(b"HEAD "))


def read_reply(connection: socket.socket, *, to_head: bool = False) -> Reply:
    """Read one answer as its own framing says, skipping 100 Continue."""
    raw = b""
    while b"\r\n\r\n" not in raw or _is_interim(raw):
        if _is_interim(raw):
            raw = raw.partition(b"\r\n\r\n")[2]
            continue
        piece = _receive(connection)
        raw += piece
        if not piece:
            return CLOSED if not raw else Reply(-1, (), raw, raw)
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (entry.partition(":") for entry in lines))
    reply = Reply(int(line.split()[1]), headers, b"", raw)
    body = b"" if to_head or reply.status == 204 else _body(connection, reply, body)
    return Reply(reply.status, headers, body, head + b"\r\n\r\n" + body)


def _is_interim(raw: bytes) -> bool:
    return raw.startswith(b"HTTP/1.1 100") and b"\r\n\r\n" in raw


def _body(connection: socket.socket, reply: Reply, body: bytes) -> bytes:
    if lengths := reply.header("Content-Length"):
        while len(body) < int(lengths[0]) and (piece := _receive(connection)):
            body += piece
        return body
    is_chunked = reply.header("Transfer-Encoding") == ["chunked"]
    while not (is_chunked and body.endswith(b"0\r\n\r\n")) and (piece := _receive(connection)):
        body += piece
    return body


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except ConnectionResetError:
        return b""
