"""A caller on a raw socket: sends exactly the bytes a test wants and reads what comes back, noticing whether it is whole."""

import asyncio
import json
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.builders import KEY, MODEL

READ_BYTES = 256 << 10
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `is_whole`: it ended as its own framing says, and not with the connection."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_whole: bool
    chunks: tuple[bytes, ...] = ()

    def header(self, name: str) -> str | None:
        """The header's value; the header is there once or not at all."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, found
        return found[0] if found else None

    @property
    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, object]:
        """The OpenAI error object, which has these four fields and stands alone."""
        assert self.header("Content-Type") == "application/json"
        assert list(self.json) == ["error"]
        error = self.json["error"]
        assert isinstance(error, dict)
        assert sorted(error) == ["code", "message", "param", "type"]
        return error

    @property
    def code(self) -> object:
        return self.error["code"]


NOTHING = Reply(0, (), b"", is_whole=False)
"""The connection was closed without a word."""


class Caller:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.sock = sock
        self.unread = b""
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, where: int | Path, *, receive_buffer: int = 0) -> Self:
        """Connect to a port on loopback, or to a unix socket."""
        sock = socket.socket(socket.AF_INET if isinstance(where, int) else socket.AF_UNIX)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        caller = cls(sock)
        try:
            await caller._loop.sock_connect(sock, ("127.0.0.1", where) if isinstance(where, int) else str(where))
        except OSError:
            sock.close()
            raise
        return caller

    async def send(self, *packets: bytes, pause_s: float = 0) -> None:
        """Send each as a packet of its own. A peer that closed early may still have answered."""
        for packet in packets:
            try:
                await self._loop.sock_sendall(self.sock, packet)
            except OSError:
                return
            await asyncio.sleep(pause_s)

    async def more(self) -> bytes:
        """Whatever came, added to `unread`; empty when the peer has closed or reset."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                data = await self._loop.sock_recv(self.sock, READ_BYTES)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            data = b""
        self.unread += data
        return data

    async def until(self, text: bytes) -> bytes:
        """Read until `text` has come, and return everything unread up to its end."""
        seen = 0
        while (at := self.unread.find(text, seen)) < 0:
            seen = max(0, len(self.unread) - len(text))
            assert await self.more(), f"closed after {self.unread!r}"
        end = at + len(text)
        found, self.unread = self.unread[:end], self.unread[end:]
        return found

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while await self.more():
            pass
        found, self.unread = self.unread, b""
        return found

    async def ask(self, *packets: bytes) -> Reply:
        """Send, and read one answer."""
        await self.send(*packets)
        return await self.reply()

    async def reply(self, *, to_head: bool = False) -> Reply:
        """Read one answer as its own framing says."""
        if not await self._has(b"\r\n\r\n"):
            assert not self.unread, self.unread
            return NOTHING
        raw = (await self.until(b"\r\n\r\n")).decode("latin-1")
        line, *fields = raw.removesuffix("\r\n\r\n").split("\r\n")
        assert line.startswith("HTTP/1."), line
        headers = tuple((name, value.strip()) for name, _, value in (field.partition(":") for field in fields))
        status = int(line.split()[1])
        reply = Reply(status, headers, b"", is_whole=True)
        if to_head or status < 200:
            return reply
        if reply.header("Transfer-Encoding") == "chunked":
            chunks, is_whole = await self._chunks()
            return Reply(status, headers, b"".join(chunks), is_whole, tuple(chunks))
        length = int(reply.header("Content-Length") or 0)
        is_whole = await self._has_bytes(length)
        body, self.unread = self.unread[:length], self.unread[length:]
        return Reply(status, headers, body, is_whole)

    async def _chunks(self) -> tuple[list[bytes], bool]:
        """Read chunks up to the last one, judging each byte of their framing."""
        chunks: list[bytes] = []
        while await self._has(b"\r\n"):
            line = (await self.until(b"\r\n")).removesuffix(b"\r\n")
            size = int(line, 16)
            if not await self._has_bytes(size + 2):
                chunks.append(self.unread[:size])
                self.unread = b""
                return chunks, False
            payload, end, self.unread = self.unread[:size], self.unread[size : size + 2], self.unread[size + 2 :]
            assert end == b"\r\n", (line, payload, end)
            if not size:
                return chunks, True
            chunks.append(payload)
        return chunks, False

    async def _has(self, text: bytes) -> bool:
        while text not in self.unread:
            if not await self.more():
                return False
        return True

    async def _has_bytes(self, count: int) -> bool:
        while len(self.unread) < count:
            if not await self.more():
                return False
        return True

    async def is_closed(self) -> bool:
        """Whether the peer closes without saying another byte."""
        return not await self.rest()

    def fin(self) -> None:
        """Close properly."""
        self.sock.close()

    def reset(self) -> None:
        """Close so that the peer sees an error."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def request(body: object = b"", *fields: str, key: str = KEY, path: str = "/v1/chat/completions", method: str = "POST") -> bytes:
    """One request with its length, as any client sends it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: relay.test", *fields]
    lines += [f"Authorization: Bearer {key}"] if key else []
    lines += ["Content-Type: application/json", f"Content-Length: {len(raw)}"] if raw else []
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + raw


def chat(*, stream: bool = False, model: str = MODEL, **more: object) -> dict[str, object]:
    """A chat request's body."""
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": stream, **more}
