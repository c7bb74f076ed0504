"""An upstream on raw sockets that does what a script says, byte for byte, and remembers what it was asked.

A script is a tuple of steps, played once for each request that is heard; the last script is played again and again.

    async with ScriptedUpstream((say(json_answer({})), cut), (say(head(), chunk(event("Hi"))), reset)) as upstream: ...

A step is any `async def step(line: Line) -> None`, so a test can write its own. Over TLS the same steps work.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Self, TypeVar

T = TypeVar("T")

READ_BYTES = 256 << 10
DONE = b"data: [DONE]\n\n"
LAST = b"0\r\n\r\n"


class Over(Exception):
    """The script has ended the connection."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int  # which connection it came over, counted from 1

    @property
    def json(self) -> dict[str, object]:
        """The body."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Line:
    """The upstream's end of one connection."""

    def __init__(self, upstream: "ScriptedUpstream", sock: socket.socket, number: int) -> None:
        self.upstream = upstream
        self.sock = sock
        self.number = number
        self.heard: Heard | None = None  # the request that is being answered
        self.sent = 0
        self._received = b""
        self._loop = asyncio.get_running_loop()

    async def begin(self) -> None:
        """Shake hands, where there is a handshake."""

    async def send(self, data: bytes) -> None:
        """Send all of it, waiting as long as the peer takes nothing."""
        for start in range(0, len(data), READ_BYTES):
            piece = data[start : start + READ_BYTES]
            await self._loop.sock_sendall(self.sock, piece)
            self.sent += len(piece)

    async def receive(self) -> bytes:
        """Whatever came; empty when the peer has closed."""
        received, self._received = self._received, b""
        return received or await self.read()

    async def read(self) -> bytes:
        """One read of the socket."""
        return await self._loop.sock_recv(self.sock, READ_BYTES)

    async def hear_head(self) -> tuple[str, dict[str, str]]:
        """Read a request up to its empty line. Raises Over when the peer closes instead."""
        while b"\r\n\r\n" not in self._received:
            await self._more()
        raw, _, self._received = self._received.partition(b"\r\n\r\n")
        line, *fields = raw.decode("latin-1").split("\r\n")
        return line, {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}

    async def hear(self) -> None:
        """Read a whole request."""
        line, headers = await self.hear_head()
        length = int(headers.get("content-length", "0"))
        while len(self._received) < length:
            await self._more()
        body, self._received = self._received[:length], self._received[length:]
        self.note(line, headers, body)

    def note(self, line: str, headers: dict[str, str], body: bytes) -> None:
        """Remember a request."""
        self.heard = Heard(line, headers, body, self.number)
        self.upstream.heard.append(self.heard)

    async def _more(self) -> None:
        data = await self.read()
        if not data:
            raise Over
        self._received += data


class TlsLine(Line):
    """The same over TLS, with our own hands on the records: `burst` puts many of them into one packet."""

    def __init__(self, upstream: "ScriptedUpstream", sock: socket.socket, number: int, context: ssl.SSLContext) -> None:
        super().__init__(upstream, sock, number)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    @property
    def is_resumed(self) -> bool:
        """Whether the handshake used a session of an earlier connection."""
        return bool(self._tls.session_reused)

    async def begin(self) -> None:
        """Shake hands."""
        await self._until_done(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send as few records as TLS allows."""
        await self.burst(data)

    async def burst(self, *records: bytes) -> None:
        """Send each as a record of its own, all at once."""
        for record in records:
            self._tls.write(record)
            self.sent += len(record)
        await self._flush()

    async def read(self) -> bytes:
        """Whatever came, decrypted."""
        try:
            return await self._until_done(lambda: self._tls.read(READ_BYTES))
        except ssl.SSLError:
            return b""

    async def say_goodbye(self) -> None:
        """Send close_notify."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._flush()

    async def _until_done(self, act: Callable[[], T]) -> T:
        while True:
            try:
                done = act()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._loop.sock_recv(self.sock, READ_BYTES)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
            else:
                await self._flush()
                return done

    async def _flush(self) -> None:
        await self._loop.sock_sendall(self.sock, self._out.read())


Step = Callable[[Line], Awaitable[None]]
Script = tuple[Step, ...]


# --- steps


def say(*packets: bytes) -> Step:
    """Send each as a packet of its own."""

    async def step(line: Line) -> None:
        for packet in packets:
            await line.send(packet)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    return step


def pause(seconds: float) -> Step:
    async def step(line: Line) -> None:
        del line
        await asyncio.sleep(seconds)

    return step


def until(event: asyncio.Event) -> Step:
    async def step(line: Line) -> None:
        del line
        await event.wait()

    return step


def forever(packet: bytes, every_s: float = 0) -> Step:
    """Send the same again and again until the peer has gone."""

    async def step(line: Line) -> None:
        while True:
            await line.send(packet)
            await asyncio.sleep(every_s)

    return step


async def cut(line: Line) -> None:
    """Close the connection properly."""
    if isinstance(line, TlsLine):
        await line.say_goodbye()
    raise Over


async def drop(line: Line) -> None:
    """Close the socket without a word of TLS."""
    del line
    raise Over


async def reset(line: Line) -> None:
    """Make the peer's next read fail."""
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Over


async def silence(line: Line) -> None:
    """Say nothing more, and see when the peer leaves."""
    while await line.receive():
        pass
    raise Over


async def hear(line: Line) -> None:
    """Read a request: for upstreams that were told not to by themselves."""
    await line.hear()


async def hear_head(line: Line) -> None:
    """Read a request's head and leave its body where it is."""
    line.note(*await line.hear_head(), b"")


class ScriptedUpstream:
    """See the module. `hears`: whether each script begins with a whole request."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, hears: bool = True, receive_buffer: int = 0) -> None:
        self.heard: list[Heard] = []
        self.left: list[float] = []  # when (loop.time) a peer closed a connection before its script had ended
        self.lines: list[Line] = []
        self.open = 0
        self.port = 0
        self._scripts = list(scripts)
        self._tls = tls
        self._hears = hears
        self._receive_buffer = receive_buffer
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self.lines)

    @property
    def bodies(self) -> list[dict[str, object]]:
        """What was asked."""
        return [heard.json for heard in self.heard]

    def script(self, *scripts: Script) -> None:
        """Play these from now on."""
        self._scripts = list(scripts)

    async def __aenter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        if self._receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        self._listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()
        for line in self.lines:
            line.sock.close()
        if self._faults:
            raise self._faults[0]

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = len(self.lines) + 1
            line = TlsLine(self, sock, number, self._tls) if self._tls else Line(self, sock, number)
            self.lines.append(line)
            self._spawn(self._serve(line))

    async def _serve(self, line: Line) -> None:
        self.open += 1
        try:
            await line.begin()
            while True:
                if self._hears:
                    await line.hear()
                await self._play(line)
        except (Over, OSError):  # ssl.SSLError is one
            pass
        except Exception as fault:  # noqa: BLE001 - a mistake in a test's own step: told when the upstream ends
            self._faults.append(fault)
        finally:
            self.open -= 1
            line.sock.close()

    async def _play(self, line: Line) -> None:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        try:
            for step in script:
                await step(line)
                if step is silence:
                    break
        except OSError:
            self.left.append(asyncio.get_running_loop().time())
            raise
        except Over:
            if script[-1] is silence:
                self.left.append(asyncio.get_running_loop().time())
            raise


# --- what upstreams say


def head(status: int = 200, *fields: str, kind: str = "text/event-stream", framing: str = "Transfer-Encoding: chunked") -> bytes:
    """The head of an answer; of a chunked stream, if nothing else is said."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", *([framing] if framing else []), *fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def chunk(*payloads: bytes) -> bytes:
    """Each payload as a chunk."""
    return b"".join(b"%x\r\n%b\r\n" % (len(payload), payload) for payload in payloads)


def event(content: str | None = None, *, finish: str | None = None, usage: dict[str, int] | None = None, **more: object) -> bytes:
    """One event of a chat stream."""
    delta = {} if content is None else {"content": content}
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def story(*words: str, prompt: int = 3) -> list[bytes]:
    """The events of a whole stream, its end marker among them."""
    told = [event(word) for word in words]
    return [*told, event(finish="stop"), event(usage=usage(prompt, len(words))), DONE]


def stream(*events: bytes) -> bytes:
    """A whole chunked stream, one chunk an event."""
    return head() + chunk(*events) + LAST


def json_answer(body: object, status: int = 200, *fields: str) -> bytes:
    """A whole answer in one piece."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(status, *fields, kind="application/json", framing=f"Content-Length: {len(raw)}") + raw


def completion(text: str = "Hi", prompt: int = 3, tokens: int = 1) -> dict[str, object]:
    """A whole chat answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage(prompt, tokens),
    }  # fmt: skip
