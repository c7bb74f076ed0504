"""What a run proves about itself, against edges that do it right and wrong."""

import json
from collections.abc import Callable

import pytest

from relay.demo import selfcheck
from relay.demo.choice import Choice, Kind
from relay.demo.fault import CannotRun
from relay.demo.selfcheck import CHECKS, Endpoint
from tests.unit.demo.scripted import Asked, Said, Scripted, scripted, streamed

KEY = "sk-" + "1" * 64
ECHO = Choice(Kind.ECHO, ("echo-1",), "")
OWN = Choice(Kind.OWN, ("theirs",), "", "http://127.0.0.1:9/v1", has_key=True)

ROLE = '{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}'
WORDS = [f'{{"choices":[{{"index":0,"delta":{{"content":"{word} "}}}}]}}' for word in ("one", "two", "three", "four", "five")]


def error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "t", "param": None, "code": "c"}}).encode()


def edge(asked: Asked) -> Said:
    """Answer as a good edge with a good relay behind it does."""
    if (asked.method, asked.path) != ("POST", "/v1/chat/completions"):
        return Said(403, [error("no")])
    if asked.authorization != f"Bearer {KEY}":
        return Said(401, [error("Incorrect API key provided.")])
    return streamed(ROLE, *WORDS, "[DONE]", pause_s=0.005)


def run(check: Callable[[Endpoint], str], answer: Callable[[Asked], Said], choice: Choice = ECHO) -> tuple[str, Scripted]:
    with scripted(answer) as server:
        return check(Endpoint(server.port, KEY, choice)), server


def test_a_good_edge_passes_every_check_and_what_was_seen_is_told() -> None:
    seen = [run(check, edge)[0] for check in CHECKS.values()]
    assert seen[0].startswith("5 tokens in 5 arrivals, the first after ")
    assert seen[1:] == ["403", "403", "401"]


def test_an_open_edge_fails_every_check() -> None:
    for check in CHECKS.values():
        with pytest.raises(CannotRun, match="self-check"):
            run(check, lambda _: Said(200, [b"{}"]))


def test_tokens_that_arrive_all_at_once_are_no_stream() -> None:
    everything = "\n\n".join(f"data: {event}" for event in [ROLE, *WORDS, "[DONE]"]) + "\n\n"
    said = Said(pieces=[everything.encode()], kind="text/event-stream")
    with pytest.raises(CannotRun, match="its 5 tokens arrived all at once"):
        run(selfcheck.streams, lambda _: said)
    run(selfcheck.streams, lambda _: said, OWN)  # a provider of the user's own may do so


def test_a_refusal_is_passed_on_with_its_words_and_what_to_look_at() -> None:
    with pytest.raises(CannotRun, match=r"it answered 502: The upstream says no\.\nLook at UPSTREAM_URL"):
        run(selfcheck.streams, lambda _: Said(502, [error("The upstream says no.")]), OWN)
    with pytest.raises(CannotRun, match=r"it answered 500: <html>"):
        run(selfcheck.streams, lambda _: Said(500, [b"<html>"]))


def test_a_stream_without_a_token_is_a_failure() -> None:
    with pytest.raises(CannotRun, match="no token came"):
        run(selfcheck.streams, lambda _: streamed(ROLE, "[DONE]"))


def test_a_stream_that_breaks_off_is_a_failure() -> None:
    with pytest.raises(CannotRun, match="the stream broke off before its end"):
        run(selfcheck.streams, lambda _: streamed(ROLE, *WORDS, breaks_off=True))


def test_an_edge_that_is_not_there_is_a_failure() -> None:
    with scripted(edge) as server:
        gone = Endpoint(server.port, KEY, ECHO)
    for check in CHECKS.values():
        with pytest.raises(CannotRun, match="ConnectionRefusedError"):
            check(gone)


def test_the_demo_is_asked_for_few_tokens_and_a_paid_provider_is_left_after_a_few() -> None:
    _, server = run(selfcheck.streams, edge)
    assert json.loads(server.asked[0].body)["max_tokens"] == 10
    seen, server = run(selfcheck.streams, lambda _: streamed(ROLE, *WORDS * 200, pause_s=0.002), OWN)
    assert seen.startswith("10 tokens")
    assert "max_tokens" not in json.loads(server.asked[0].body)


def test_the_real_key_is_not_sent_where_a_wrong_one_is_tried() -> None:
    _, server = run(selfcheck.wrong_key_is_refused, edge)
    assert [asked.authorization for asked in server.asked] == ["Bearer sk-" + "0" * 64]
