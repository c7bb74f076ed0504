"""Requests written byte for byte, and what is true of every answer that refuses one."""

import json

from tests.support.builders import KEY
from tests.support.caller import NOTHING, Caller, Reply, chat, request
from tests.support.upstream import completion

CHAT = "POST /v1/chat/completions HTTP/1.1"
GOOD = request(chat())
BODY = json.dumps(chat()).encode()


def raw(*lines: str, body: bytes = b"") -> bytes:
    """A request of exactly these lines."""
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def posted(*fields: str, body: bytes = b"", line: str = CHAT) -> bytes:
    """A request with a key, and the framing that `fields` say."""
    return raw(line, "Host: relay.test", f"Authorization: Bearer {KEY}", "Content-Type: application/json", *fields, body=body)


def sized(*fields: str, body: bytes = BODY, line: str = CHAT) -> bytes:
    return posted(*fields, f"Content-Length: {len(body)}", body=body, line=line)


def in_chunks(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def judge(reply: Reply) -> None:
    """Hold what is true of every answer that is an error."""
    assert reply.is_whole
    assert reply.error["type"] == "invalid_request_error"
    assert isinstance(reply.error["message"], str)
    assert reply.header("X-Should-Retry") == "false"
    assert reply.header("X-Request-Id")
    told = str(reply).lower()
    assert "aiohttp" not in told
    assert "python" not in told
    assert "sk-" not in told


async def is_usable_or_closed(caller: Caller) -> bool:
    """Whether a good request is served on it, or it was closed without another word."""
    reply = await caller.ask(GOOD)
    return reply == NOTHING or (reply.status, reply.json) == (200, completion())
