"""A server that says what a test tells it to say, and remembers what it was asked."""

import contextlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    authorization: str
    body: bytes


@dataclass(frozen=True)
class Said:
    """One answer: pieces that are sent `pause_s` apart; without an end if it breaks off."""

    status: int = 200
    pieces: Sequence[bytes] = ()
    pause_s: float = 0.0
    breaks_off: bool = False
    kind: str = "application/json"


@dataclass
class Scripted:
    """Where it listens, what it was asked."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def streamed(*events: str, pause_s: float = 0.0, breaks_off: bool = False) -> Said:
    """Give an event stream."""
    pieces = [f"data: {event}\n\n".encode() for event in events]
    return Said(pieces=pieces, pause_s=pause_s, breaks_off=breaks_off, kind="text/event-stream")


@contextlib.contextmanager
def scripted(answer: Callable[[Asked], Said]) -> Iterator[Scripted]:
    """Serve on a free port of the loopback address while the block runs."""
    known = Scripted()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the standard library's argument
            """Keep quiet."""

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            asked = Asked(self.command, self.path, self.headers.get("Authorization", ""), self.rfile.read(length))
            known.asked.append(asked)
            with contextlib.suppress(OSError):  # the client may leave
                self._say(answer(asked))

        def _say(self, said: Said) -> None:
            self.send_response(said.status)
            self.send_header("Content-Type", said.kind)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in said.pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
                time.sleep(said.pause_s)
            if not said.breaks_off:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
