"""`echo-1`, an honest stand-in for a model: an OpenAI-compatible server that sends the last message back, word by word.

    python -m relay.demo.echo PORT

A token here is a word with the blanks around it. Usage is counted, never made up; what it can't do, it refuses with an error object.
"""

import asyncio
import base64
import hashlib
import math
import re
import struct
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

from relay.demo.choice import ECHO_NAME

PACE_S: Final = 0.03
"""Between two words: so that arrival one by one can be seen, and a long message doesn't take for ever."""

DIMENSIONS: Final = 64
_BODY_LIMIT: Final = 64 << 20
_WORD: Final = re.compile(r"\s*\S+\s*")
_PACE: Final = web.AppKey("pace", float)

Body = dict[str, Any]


class Refused(Exception):
    """A request that the echo can't serve."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back, and what that counts as."""

    words: list[str]
    finish: str  # "stop", or "length" if there was more
    prompt_tokens: int

    @property
    def usage(self) -> dict[str, int]:
        count = len(self.words)
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": count, "total_tokens": self.prompt_tokens + count}


# --- what is said


def words_of(text: str) -> list[str]:
    """Cut a text into words that, joined, are the text."""
    return _WORD.findall(text) or ([text] if text else [])


def text_of(content: object) -> str:
    """The text of a message: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("type") == "text")


def chat_reply(body: Body) -> Reply:
    """Answer a conversation with its last user message."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise Refused(400, "`messages` must be a non-empty array of objects.", param="messages")
    texts = [text_of(message.get("content")) for message in messages]
    said = [text for text, message in zip(texts, messages, strict=True) if message.get("role") == "user"]
    return _reply(said[-1] if said else "", body, sum(len(words_of(text)) for text in texts))


def completion_reply(body: Body) -> Reply:
    """Answer a prompt with itself."""
    prompt = body.get("prompt")
    text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt)) if isinstance(prompt, list) else ""
    if not text:
        raise Refused(400, "`prompt` must be a non-empty string or array.", param="prompt")
    return _reply(text, body, len(words_of(text)))


def _reply(text: str, body: Body, prompt_tokens: int) -> Reply:
    if body.get("n") not in {None, 1}:
        raise Refused(400, f"{ECHO_NAME} gives one choice: leave `n` out.", param="n")
    words = words_of(text)
    most = next((body[name] for name in ("max_completion_tokens", "max_tokens") if isinstance(body.get(name), int)), len(words))
    return Reply(words[:most], "stop" if most >= len(words) else "length", prompt_tokens)


def embedding(text: str, dimensions: int) -> list[float]:
    """Give a text a direction of length 1: its words' hashes summed. The same text always gets the same one, similar texts similar ones."""
    vector = [0.0] * dimensions
    for word in words_of(text.lower()) or [""]:
        digest = hashlib.sha256(word.strip().encode("utf-8", "replace")).digest()
        for at in range(0, len(digest), 4):
            number = int.from_bytes(digest[at : at + 4], "big")
            vector[number % dimensions] += 1.0 if number >> 31 else -1.0
    length = math.sqrt(sum(part * part for part in vector)) or 1.0
    return [part / length for part in vector]


# --- how it is said


def _head(body: Body, kind: str, prefix: str) -> Body:
    return {"id": f"{prefix}-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": body["model"]}


def chat_choices(reply: Reply) -> Iterator[Body]:
    """One choice per event of a streamed chat."""
    yield {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    for word in reply.words:
        yield {"index": 0, "delta": {"content": word}, "finish_reason": None}
    yield {"index": 0, "delta": {}, "finish_reason": reply.finish}


def completion_choices(reply: Reply) -> Iterator[Body]:
    """One choice per event of a streamed completion."""
    for word in reply.words:
        yield {"index": 0, "text": word, "logprobs": None, "finish_reason": None}
    yield {"index": 0, "text": "", "logprobs": None, "finish_reason": reply.finish}


async def _stream(request: web.Request, body: Body, head: Body, choices: Iterator[Body], reply: Reply) -> web.StreamResponse:
    """Send the events, one every PACE_S; a caller who leaves ends it."""
    options = body.get("stream_options")
    wants_usage = isinstance(options, dict) and bool(options.get("include_usage"))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for choice in choices:
        event = head | {"choices": [choice]} | ({"usage": None} if wants_usage else {})
        await response.write(b"data: " + orjson.dumps(event) + b"\n\n")
        await asyncio.sleep(request.app[_PACE])
    if wants_usage:
        await response.write(b"data: " + orjson.dumps(head | {"choices": [], "usage": reply.usage}) + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _chat(request: web.Request, body: Body) -> web.StreamResponse:
    reply = chat_reply(body)
    if body.get("stream"):
        return await _stream(request, body, _head(body, "chat.completion.chunk", "chatcmpl"), chat_choices(reply), reply)
    message = {"role": "assistant", "content": "".join(reply.words), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
    return _json(200, _head(body, "chat.completion", "chatcmpl") | {"choices": [choice], "usage": reply.usage})


async def _completion(request: web.Request, body: Body) -> web.StreamResponse:
    reply = completion_reply(body)
    head = _head(body, "text_completion", "cmpl")
    if body.get("stream"):
        return await _stream(request, body, head, completion_choices(reply), reply)
    choice = {"index": 0, "text": "".join(reply.words), "logprobs": None, "finish_reason": reply.finish}
    return _json(200, head | {"choices": [choice], "usage": reply.usage})


async def _embeddings(_: web.Request, body: Body) -> web.StreamResponse:
    given = body.get("input")
    if isinstance(given, list) and given and all(isinstance(part, int) for part in given):
        given = [given]  # one text as token numbers
    texts: list[Any] = given if isinstance(given, list) else [given]
    if not texts or not all(text and isinstance(text, (str, list)) for text in texts):
        raise Refused(400, "`input` must be a non-empty string or array.", param="input")
    dimensions = body.get("dimensions", DIMENSIONS)
    if not isinstance(dimensions, int) or not 0 < dimensions <= 1 << 12:
        raise Refused(400, "`dimensions` must be a number from 1 to 4096.", param="dimensions")
    said = [text if isinstance(text, str) else " ".join(map(str, text)) for text in texts]
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": at, "embedding": _packed(vector) if as_base64 else vector}
        for at, vector in enumerate(embedding(text, dimensions) for text in said)
    ]
    count = sum(len(words_of(text)) for text in said)
    return _json(200, {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": count, "total_tokens": count}})


def _packed(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64: what the official clients ask for."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


# --- the server

Answer = Callable[[web.Request, Body], Awaitable[web.StreamResponse]]


def _json(status: int, value: object) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def _post(answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Read and check what all requests have in common; say what is wrong in OpenAI's form."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await answer(request, _read(await request.read()))
        except Refused as refused:
            return _json(refused.status, refused.error)

    return handle


def _read(raw: bytes) -> Body:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as fault:
        raise Refused(400, f"The body is not valid JSON: {fault}") from None
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object.")
    if body.get("model") != ECHO_NAME:
        raise Refused(404, f"The model `{body.get('model')}` does not exist; there is {ECHO_NAME}.", param="model", code="model_not_found")
    return body


async def _unknown(request: web.Request) -> web.Response:
    return _json(404, Refused(404, f"There is no {request.method} {request.path} here.", code="unknown_url").error)


async def _health(_: web.Request) -> web.Response:
    return _json(200, {"status": "ok"})


async def _models(_: web.Request) -> web.Response:
    return _json(200, {"object": "list", "data": [{"id": ECHO_NAME, "object": "model", "created": 0, "owned_by": "postgate"}]})


def application(pace_s: float = PACE_S) -> web.Application:
    app = web.Application(client_max_size=_BODY_LIMIT)
    app[_PACE] = pace_s
    app.router.add_get("/health", _health)
    app.router.add_get("/v1/models", _models)
    app.router.add_post("/v1/chat/completions", _post(_chat))
    app.router.add_post("/v1/completions", _post(_completion))
    app.router.add_post("/v1/embeddings", _post(_embeddings))
    app.router.add_route("*", "/{rest:.*}", _unknown)
    return app


def main(argv: list[str]) -> None:
    web.run_app(application(), host="127.0.0.1", port=int(argv[0]), access_log=None, shutdown_timeout=0, handler_cancellation=True)


if __name__ == "__main__":
    main(sys.argv[1:])
