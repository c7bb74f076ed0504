"""Structured logs: one JSON object a line on standard error, redacted, and without storms.

    {"ts": "2026-01-02T03:04:05.678Z", "level": "warning", "event": "channel failed", "request_id": "…", "channel": "a"}

Code of ours logs a constant text, which is the event, and puts what varies into `extra`. For the lines of libraries the event is the
logger's name and the text is the `message`. Everything, whoever wrote it, passes through the one formatter here: values, dict keys,
tracebacks. A line that can't be written is replaced by one that says so; logging's own complaint would show the raw arguments.
"""

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from relay.telemetry.flood import Flood
from relay.telemetry.redaction import HEADERS, Redactor

LINES_PER_EVENT_S: Final = 10
LONGEST_VALUE: Final = 2000
LONGEST_TRACEBACK: Final = 8000
_MOST_ITEMS: Final = 50
_DEEPEST: Final = 4
_OURS: Final = "relay"
_OF_A_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}


def configure(
    level: str,
    secrets: Iterable[str] = (),
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    per_event_s: int = LINES_PER_EVENT_S,
) -> None:
    """Send every logger of the process through one handler. Can be called again, when secrets or the level have changed."""
    handler = JsonHandler(stream or sys.stderr, LineFormatter(Redactor(secrets)), Flood(per_event_s, clock))
    root = logging.getLogger()
    for logger in (root, *(known for known in root.manager.loggerDict.values() if isinstance(known, logging.Logger))):
        logger.propagate = True
        for old in tuple(logger.handlers):
            logger.removeHandler(old)
            if isinstance(old, JsonHandler):
                old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes what the flood admits."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter, flood: Flood[tuple[str, int]]) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self._flood = flood

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, after the ones that say how many others were not written."""
        self._tell_suppressed(all_of_them=False)
        if self._flood.admit((_event(record), record.levelno)):
            super().emit(record)

    def close(self) -> None:
        """Tell what is left to tell."""
        self._tell_suppressed(all_of_them=True)
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a line was lost, and nothing of what was in it."""
        why = sys.exc_info()[0]
        line = {
            "ts": _moment(time.time()),
            "level": "error",
            "event": "log line lost",
            "why": why.__name__ if why else "",
            "line": record.lineno,
        }
        with suppress(OSError, ValueError):
            self.stream.write(json.dumps(line) + self.terminator)
            self.flush()

    def _tell_suppressed(self, *, all_of_them: bool) -> None:
        for (event, level), suppressed in self._flood.over(all_of_them=all_of_them):
            super().emit(
                logging.makeLogRecord(
                    {"name": _OURS, "msg": event, "levelno": level, "levelname": logging.getLevelName(level), "suppressed": suppressed}
                )
            )


class LineFormatter(logging.Formatter):
    """A record as one line of JSON. Nothing gets into it that the redactor has not seen."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """ASCII only: nothing in a line can end it or steer a terminal."""
        line: dict[str, Any] = {"ts": _moment(record.created), "level": record.levelname.lower(), "event": self._text(_event(record))}
        extra = {name: value for name, value in vars(record).items() if name not in _OF_A_RECORD and name not in line}
        if "request_id" in extra:
            line["request_id"] = self._plain(extra.pop("request_id"))
        if record.args or not _is_ours(record):
            line["message"] = self._text(_message(record))
        line |= self._items(extra)
        if record.exc_info and record.exc_info[0]:
            line["exception"] = self._text(self.formatException(record.exc_info), LONGEST_TRACEBACK)
        if record.stack_info:
            line["stack"] = self._text(record.stack_info, LONGEST_TRACEBACK)
        return json.dumps(line)

    def _text(self, text: str, longest: int = LONGEST_VALUE) -> str:
        """Redacted, then cut: the other way round half a key might stay. Of a long text both ends are kept."""
        text = self._redact(text)
        if len(text) <= longest:
            return text
        return f"{text[: longest // 4]} … {text[-(longest * 3 // 4) :]}"

    def _plain(self, value: object, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
        match value:
            case None | bool() | int() | float() if not isinstance(value, float) or math.isfinite(value):
                return value
            case bytes() | bytearray():
                return self._text(value.decode("latin-1"))
            case (str() | bytes() as name, _) if _name(name).lower() in HEADERS:
                return [_name(name), "***"]
            case Mapping() if depth < _DEEPEST:
                return self._items(value, depth + 1)
            case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
                return [self._plain(item, depth + 1) for item in list(value)[:_MOST_ITEMS]]
            case _:
                return self._text(str(value))

    def _items(self, items: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
        plain = {}
        for key, value in list(items.items())[:_MOST_ITEMS]:
            name = self._text(_name(key))
            plain[name] = "***" if name.lower() in HEADERS else self._plain(value, depth)
        return plain


def _name(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _event(record: logging.LogRecord) -> str:
    return str(record.msg) if _is_ours(record) else record.name


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name == _OURS or record.name.startswith(f"{_OURS}.")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # the arguments don't fit the text
        return str(record.msg)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
