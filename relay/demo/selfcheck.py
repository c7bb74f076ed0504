"""What a run proves about itself before it says "ready", from outside, through the edge, as any client would."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from relay.demo.choice import Choice, Kind
from relay.demo.fault import CannotRun
from relay.demo.ports import LOOPBACK
from relay.wire.openai_stream import StreamTap

PROMPT: Final = "Count from one to ten in words."
_ENOUGH_TOKENS: Final = 10
"""After as many the stream has shown what it had to. The demo is asked for no more; a provider of the user's own, which may not know the
word for it, is left in the middle: the rest would only cost."""

_WAIT_S: Final = 120.0
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_SAME_ARRIVAL_S: Final = 0.001
_LONGEST_MESSAGE: Final = 500
_BROKE_OFF: Final = "the stream broke off before its end"
_LOOK: Final = "See logs/ and edge/logs/ in the folder named above."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is checked."""

    port: int
    key: str
    choice: Choice


def streams(endpoint: Endpoint) -> str:
    """Have tokens arrive one by one."""
    body: dict[str, object] = {"model": endpoint.choice.models[0], "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    if endpoint.choice.kind is not Kind.OWN:
        body["max_tokens"] = _ENOUGH_TOKENS
    asked_at = time.monotonic()
    connection = _connection(endpoint)
    try:
        _post(connection, "/v1/chat/completions", endpoint.key, body)
        response = connection.getresponse()
        if response.status != _OK:
            raise _stream_failed(endpoint.choice, f"it answered {response.status}: {_message(response.read())}")
        arrivals = list(_tokens(response, whole=endpoint.choice.kind is not Kind.OWN))
    except (OSError, http.client.HTTPException) as fault:
        raise _stream_failed(endpoint.choice, f"{type(fault).__name__}: {fault}") from fault
    finally:
        connection.close()
    if not arrivals:
        raise _stream_failed(endpoint.choice, "no token came")
    apart = 1 + sum(later - earlier > _SAME_ARRIVAL_S for earlier, later in pairwise(arrivals))
    if apart == 1 and len(arrivals) > 1 and endpoint.choice.kind is not Kind.OWN:
        raise _stream_failed(endpoint.choice, f"its {len(arrivals)} tokens arrived all at once")
    return f"{len(arrivals)} tokens in {apart} arrivals, the first after {(arrivals[0] - asked_at) * 1000:.0f} ms"


def _tokens(response: http.client.HTTPResponse, *, whole: bool) -> Iterator[float]:
    """Yield when each token came: all of a whole answer, else the first few. Raises RemoteDisconnected if a whole one has no end."""
    tap, seen = StreamTap(), 0
    while (whole or seen < _ENOUGH_TOKENS) and (line := response.readline()):
        if tap.feed_whole(line) >= 0:
            return
        if tap.first_token:
            yield time.monotonic()
            tap, seen = StreamTap(), seen + 1
    if whole:
        raise http.client.RemoteDisconnected(_BROKE_OFF)


def get_is_refused(endpoint: Endpoint) -> str:
    return _expect(endpoint, "GET", "/v1/chat/completions", _FORBIDDEN)


def metrics_are_hidden(endpoint: Endpoint) -> str:
    _expect(endpoint, "POST", "/metrics", _FORBIDDEN)
    return _expect(endpoint, "GET", "/metrics", _FORBIDDEN)


def wrong_key_is_refused(endpoint: Endpoint) -> str:
    wrong = Endpoint(endpoint.port, "sk-" + "0" * 64, endpoint.choice)
    return _expect(wrong, "POST", "/v1/chat/completions", _UNAUTHORIZED)


def _expect(endpoint: Endpoint, method: str, path: str, status: int) -> str:
    body = {"model": endpoint.choice.models[0], "messages": [{"role": "user", "content": "hi"}]}
    connection = _connection(endpoint)
    try:
        if method == "POST":
            _post(connection, path, endpoint.key, body)
        else:
            connection.request(method, path, headers={"Authorization": f"Bearer {endpoint.key}"})
        got = connection.getresponse().status
    except (OSError, http.client.HTTPException) as fault:
        raise CannotRun(what=f"self-check: {method} {path}", why=f"{type(fault).__name__}: {fault}", remedy=_LOOK) from fault
    finally:
        connection.close()
    if got != status:
        raise CannotRun(what=f"self-check: {method} {path}", why=f"the edge answered {got} instead of {status}", remedy=_LOOK)
    return str(status)


def _connection(endpoint: Endpoint) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(LOOPBACK, endpoint.port, timeout=_WAIT_S)


def _post(connection: http.client.HTTPConnection, path: str, key: str, body: object) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)


def _stream_failed(choice: Choice, why: str) -> CannotRun:
    remedy = _LOOK
    if choice.kind is Kind.OWN:
        remedy = f"Look at UPSTREAM_URL ({choice.url}), UPSTREAM_KEY and UPSTREAM_MODELS. {_LOOK}"
    return CannotRun(what="self-check: a streamed answer", why=why, remedy=remedy)


def _message(body: bytes) -> str:
    """The text of an error object, or what else there is."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:_LONGEST_MESSAGE].decode("utf-8", "replace")


CHECKS: Final[Mapping[str, Callable[[Endpoint], str]]] = {
    "POST /v1/chat/completions streams": streams,
    "GET is refused": get_is_refused,
    "/metrics is not reachable through the edge": metrics_are_hidden,
    "a wrong key is refused": wrong_key_is_refused,
}
"""What is claimed, and the function that returns what it saw or raises CannotRun."""
