"""A stand-in for the relay: a raw HTTP/1.1 server on a unix socket that keeps every byte it was sent and answers as a test says."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

JSON = b"application/json"


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


Answering = Callable[[socket.socket, Seen], bool]
"""Sends an answer; says whether the connection stays open."""


def answer(
    status: str = "200 OK", body: bytes = b'{"ok":true}', *, headers: tuple[tuple[bytes, bytes], ...] = (), then_close: bool = False
) -> Answering:
    """Answer everything alike, with a length."""

    def say(connection: socket.socket, seen: Seen) -> bool:
        del seen
        lines = [b"HTTP/1.1 " + status.encode(), b"Content-Type: " + JSON, b"Content-Length: %d" % len(body)]
        lines += [name + b": " + value for name, value in headers]
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        return not then_close

    return say


@dataclass
class Recorder:
    """What reached the relay's place."""

    path: Path
    answering: Answering = field(default_factory=answer)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    _listener: socket.socket = field(init=False)
    _open: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(256)
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def answers(self, answering: Answering) -> Iterator["Recorder"]:
        """Answer in this way for a while, and begin with an empty memory."""
        before, self.answering = self.answering, answering
        self.seen.clear()
        try:
            yield self
        finally:
            self.answering = before

    def close(self) -> None:
        """Stop listening and drop every connection, as a relay that died."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        self._open.add(connection)
        with connection, contextlib.suppress(OSError, EOFError):
            stays = True
            kept = b""
            while stays:
                seen, kept = _read(connection, kept, number)
                self.seen.append(seen)
                stays = self.answering(connection, seen)
        self._open.discard(connection)


def _read(connection: socket.socket, kept: bytes, number: int) -> tuple[Seen, bytes]:
    while b"\r\n\r\n" not in kept:
        kept += _more(connection)
    head, _, rest = kept.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (entry.partition(":") for entry in lines))
    lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
    length = lengths[0] if lengths else 0
    while len(rest) < length:
        rest += _more(connection)
    return Seen(line, headers, rest[:length], number), rest[length:]


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(1 << 16)
    if not piece:
        raise EOFError
    return piece
