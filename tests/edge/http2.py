"""Just enough HTTP/2 to say one request with any headers at all and read status and body. No library would send the bad ones."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INDEXED_STATUS = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
"""First byte of a header block whose status is in HPACK's static table."""


def h2_ask(client: socket.socket, headers: list[tuple[str, str]]) -> tuple[int, bytes]:
    """Send one request without a body. Status 0: the stream or the connection was reset."""
    block = b"".join(b"\x10" + _text(name) + _text(value) for name, value in headers)
    client.sendall(PREFACE + _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
    status, body = 0, b""
    while (frame := _read(client)) is not None:
        kind, flags, payload = frame
        if kind == SETTINGS and not flags & ACK:
            client.sendall(_frame(SETTINGS, ACK, 0, b""))
        elif kind == HEADERS:
            status = _status(payload)
        elif kind == DATA:
            body += payload
        if kind in {RST_STREAM, GOAWAY} or (kind in {HEADERS, DATA} and flags & END_STREAM):
            break
    return status, body


def _status(block: bytes) -> int:
    """The first field is :status: indexed, or literal under its indexed name and never Huffman-coded by nginx."""
    while block[0] & 0xE0 == 0x20:  # a change of the table's size, one byte
        block = block[1:]
    return INDEXED_STATUS.get(block[0]) or int(block[2:5])


def _text(text: str) -> bytes:
    raw = text.encode()
    assert len(raw) < 0x7F, "a longer one needs a longer length"
    return bytes([len(raw)]) + raw


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _read(client: socket.socket) -> tuple[int, int, bytes] | None:
    head = _exactly(client, 9)
    if head is None:
        return None
    payload = _exactly(client, int.from_bytes(head[:3], "big"))
    return None if payload is None else (head[3], head[4], payload)


def _exactly(client: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        try:
            piece = client.recv(size - len(data))
        except OSError:
            return None
        if not piece:
            return None
        data += piece
    return data
