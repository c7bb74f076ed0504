"""Lines are JSON, secrets stay out of them however they get in, and a storm of lines is thinned."""

import asyncio
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.telemetry.logs import JsonHandler, configure

KEY = "sk-ab0123456789abcdefyz"
UPSTREAM = "not a key by its looks: 42"
MISFIT = "failed with %d and %d"
log = logging.getLogger("relay.some.place")
foreign = logging.getLogger("aiohttp.server")


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, shown = root.handlers[:], root.level, warnings.showwarning
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], warnings.showwarning = handlers, shown
    root.setLevel(level)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def out(watch: Watch) -> io.StringIO:
    stream = io.StringIO()
    configure("debug", [UPSTREAM], stream=stream, clock=watch, per_event_s=3)
    return stream


def alone() -> None:
    """Take pytest's own handlers away, which raise what ours has to bear."""
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if isinstance(handler, JsonHandler)]


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def only(out: io.StringIO) -> dict[str, Any]:
    (line,) = lines(out)
    return line


# --- the form


def test_a_line_of_ours_is_its_event_and_its_fields(out: io.StringIO) -> None:
    log.warning("channel failed", extra={"request_id": "abc", "channel": "a", "after_s": 1.5, "tries": [1, None, True]})
    line = only(out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line == {
        "level": "warning",
        "event": "channel failed",
        "request_id": "abc",
        "channel": "a",
        "after_s": 1.5,
        "tries": [1, None, True],
    }
    assert list(line)[:3] == ["level", "event", "request_id"]


def test_a_line_of_a_library_is_its_loggers_name_and_a_message(out: io.StringIO) -> None:
    foreign.error("Error handling %s", "request")
    assert (only(out)["event"], only(out)["message"]) == ("aiohttp.server", "Error handling request")


def test_an_exception_comes_with_its_traceback(out: io.StringIO) -> None:
    try:
        int("x")
    except ValueError:
        log.exception("unexpected failure")
    assert "test_logs.py" in only(out)["exception"]
    assert "ValueError: invalid literal" in only(out)["exception"]


def test_a_line_stays_a_line_and_a_terminal_stays_untouched(out: io.StringIO) -> None:
    log.info("event", extra={"text": "a\nb\r\x1b[31m\u2028\udc80é"})
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().isascii()
    assert only(out)["text"] == "a\nb\r\x1b[31m\u2028\udc80é"


def test_fields_can_not_pass_for_the_lines_own(out: io.StringIO) -> None:
    log.info("event", extra={"ts": "never", "level": "fatal", "event": "other"})
    assert (only(out)["level"], only(out)["event"]) == ("info", "event")
    assert only(out)["ts"] != "never"


def test_a_huge_or_endless_value_becomes_a_short_one(out: io.StringIO) -> None:
    knot: list[Any] = []
    knot.append(knot)
    log.info("event", extra={"text": "x" * 100_000, "knot": knot, "many": list(range(1000)), "odd": float("nan"), "thing": object()})
    assert len(out.getvalue()) < 4000
    assert only(out)["odd"] == "nan"


def test_the_level_is_kept_to() -> None:
    out = io.StringIO()
    configure("warning", stream=out)
    log.info("quiet")
    log.warning("loud")
    assert only(out)["event"] == "loud"


def test_loggers_that_were_there_before_have_no_way_of_their_own() -> None:
    elsewhere, out = io.StringIO(), io.StringIO()
    early = logging.getLogger("some.library")
    early.addHandler(logging.StreamHandler(elsewhere))
    early.propagate = False
    configure("info", stream=out)
    early.warning("key %s", KEY)
    assert elsewhere.getvalue() == ""
    assert only(out)["event"] == "some.library"


def test_configuring_again_replaces_the_handler_and_its_secrets(out: io.StringIO) -> None:
    later = io.StringIO()
    configure("info", ["another secret"], stream=later)
    log.warning("event", extra={"text": "another secret"})
    assert out.getvalue() == ""
    assert "another secret" not in later.getvalue()


def test_warnings_go_the_same_way(out: io.StringIO) -> None:
    warnings.showwarning(f"deprecated {KEY}", UserWarning, "file.py", 1)
    assert only(out)["event"] == "py.warnings"
    assert KEY not in out.getvalue()


def test_standard_error_is_where_lines_go(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    log.info("event")
    assert json.loads(capsys.readouterr().err)["event"] == "event"


# --- secrets


class Holder:
    """An object whose repr holds a secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return f"<holder of {self._secret}>"


def ways(secret: str) -> Iterator[tuple[str, Any]]:
    """Each way in which a secret may come to be logged."""
    yield "our event", lambda: log.error("failed with " + secret)  # noqa: G003 - a mistake that must not hurt
    yield "our argument", lambda: log.error("failed with %s", secret)
    yield "their message", lambda: foreign.error("failed with " + secret)
    yield "their argument", lambda: foreign.error("failed with %r", secret)
    yield "a mapping of arguments", lambda: foreign.error("failed with %(it)s", {"it": secret})
    yield "arguments that do not fit", lambda: log.error(MISFIT, secret)
    yield "bytes", lambda: foreign.error("failed with %r", secret.encode())
    yield "a field", lambda: log.error("failed", extra={"with": secret})
    yield "a field of bytes", lambda: log.error("failed", extra={"with": secret.encode()})
    yield "a name of a field", lambda: log.error("failed", extra={secret: 1})
    yield "a field of fields", lambda: log.error("failed", extra={"with": {"a": [{"b": (secret,)}], secret: {secret.encode(): 1}}})
    yield "a deep field", lambda: log.error("failed", extra={"with": [[[[[[secret]]]]]]})
    yield "an object", lambda: log.error("failed", extra={"with": Holder(secret)})
    yield "an object as argument", lambda: log.error("failed with %s", Holder(secret))
    yield "a request id", lambda: log.error("failed", extra={"request_id": secret})
    yield "an exception as field", lambda: log.error("failed", extra={"with": ValueError(secret)})
    yield "an exception", lambda: _fail(ValueError(f"bad line: b'{secret}'"))
    yield "an exception's cause", lambda: _fail(RuntimeError("x"), ValueError(secret))
    yield "a group of exceptions", lambda: _fail(ExceptionGroup("some", [ValueError(secret)]))
    yield "a name of a logger", lambda: logging.getLogger(f"x.{secret}").error("failed")


def _fail(error: Exception, cause: Exception | None = None) -> None:
    try:
        raise error from cause
    except type(error):
        foreign.exception("Unhandled")


@pytest.mark.parametrize("secret", [KEY, UPSTREAM], ids=["key", "registered"])
@pytest.mark.parametrize("way", [name for name, _ in ways("")])
def test_no_secret_gets_into_a_line_by_any_way(out: io.StringIO, capsys: pytest.CaptureFixture[str], way: str, secret: str) -> None:
    alone()
    dict(ways(secret))[way]()
    assert lines(out)
    assert secret not in out.getvalue()
    assert secret not in str(lines(out))
    assert secret not in "".join(capsys.readouterr())


def test_a_credential_under_its_own_name_needs_not_look_like_one(out: io.StringIO) -> None:
    log.error("failed", extra={"headers": {"X-Api-Key": "hunter2", b"authorization": b"Basic abc", "Host": "x"}, "password": "hunter2"})
    assert only(out)["headers"] == {"X-Api-Key": "***", "authorization": "***", "Host": "x"}
    assert only(out)["password"] == "***"


def test_nor_as_a_pair_of_a_raw_header(out: io.StringIO) -> None:
    log.error("failed", extra={"headers": ((b"Authorization", b"Basic abc"), (b"Host", b"x"))})
    assert only(out)["headers"] == [["Authorization", "***"], ["Host", "x"]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 12_000))
def test_a_key_never_gets_through_wherever_a_text_is_cut(before: str, after: str, padding: int) -> None:
    out = io.StringIO()
    key = "sk-" + "0123456789abcdef" * 4
    configure("info", stream=out)
    log.error("failed", extra={"with": before + "." * padding + key + "." * (12_000 - padding) + after})
    assert "456789abcdef0123" not in out.getvalue()


def test_a_line_that_can_not_be_written_is_told_without_what_was_in_it(out: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(KEY)

    alone()
    log.error("failed", extra={"with": Broken()})
    assert (only(out)["event"], only(out)["why"]) == ("log line lost", "RuntimeError")
    assert KEY not in out.getvalue() + "".join(capsys.readouterr())


def test_a_closed_stream_hurts_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    configure("info", stream=out)
    out.close()
    log.error("failed with %s", KEY)
    assert KEY not in "".join(capsys.readouterr())


async def test_what_aiohttps_server_logs_of_a_malformed_request_holds_no_key(out: io.StringIO) -> None:
    async def never(request: web.BaseRequest) -> web.StreamResponse:
        raise ValueError(request.headers["Authorization"])

    server = web.Server(never)
    site = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = site.sockets[0].getsockname()[1]
    for bad in (f"Authorization: Bearer {KEY}\r\n\r\n", f"Authorization: Bearer {KEY}\r\n{KEY}\x01: {KEY}\r\n\r\n", f"{KEY} {KEY}\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bad}".encode())
        await reader.read()
        writer.close()
    site.close()
    await server.shutdown()
    assert [line["event"] for line in lines(out) if line["level"] == "error"] == ["aiohttp.server"] * 3
    assert KEY not in out.getvalue()


# --- storms


def test_a_storm_of_one_event_is_thinned_and_its_size_told(out: io.StringIO, watch: Watch) -> None:
    for number in range(100):
        log.error("accept failed", extra={"number": number})
    log.error("something else")
    assert [line["event"] for line in lines(out)] == ["accept failed"] * 3 + ["something else"]
    watch.now += 1
    log.error("accept failed")
    told, again = lines(out)[4:]
    assert (told["event"], told["level"], told["suppressed"]) == ("accept failed", "error", 97)
    assert "suppressed" not in again


def test_a_storm_of_a_librarys_varying_texts_is_one_event(out: io.StringIO) -> None:
    for number in range(100):
        foreign.error(f"socket.accept() failed for {number}")
    assert len(lines(out)) == 3


def test_what_was_suppressed_last_is_told_at_the_end(out: io.StringIO) -> None:
    for _ in range(5):
        log.error("accept failed")
    alone()
    logging.getLogger().handlers[0].close()
    assert lines(out)[-1]["suppressed"] == 2
