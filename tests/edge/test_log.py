"""What a running nginx writes down: a line of JSON for each request, its reason, and no secret."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.raw import ask
from tests.edge.recorder import answer
from tests.edge.running import Edge, running
from tests.edge.truth import CHAT, request

SECRET = "sk-0123456789"
SAID = {
    "passed": request(CHAT, f"Authorization: Bearer {SECRET}", 'User-Agent: te"st\\1'),
    "path": request("/v1/files"),
    "method": request(method="PUT"),
    "version": request(version=" HTTP/1.0"),
    "upgrade": request(CHAT, "Upgrade: h2c"),
    "query": request(f"{CHAT}?key={SECRET}"),
    "case": request("/V1/chat/completions"),
    "malformed": request(CHAT, "Transfer-Encoding: x"),
    "host": request(host="evil.example"),
    "large": request(CHAT, "Content-Length: 9999999", length=False),
    "long": request("/v1/" + "a" * 9000),
    "headers": request(CHAT, f"X-A: {'a' * 9000}"),
    "refused by the relay": request("/v1/embeddings", body=SECRET.encode()),
}
EXPECTED = [
    ("200", "", CHAT),
    ("403", "path", ""),
    ("403", "method", ""),
    ("403", "version", ""),
    ("403", "upgrade", CHAT),
    ("403", "path", ""),
    ("403", "path", CHAT),
    ("400", "malformed", CHAT),
    ("444", "host", CHAT),
    ("413", "body_too_large", CHAT),
    ("414", "line_too_long", ""),
    ("431", "headers_too_large", CHAT),
    ("402", "", "/v1/embeddings"),
    ("502", "relay_down", CHAT),
]


@pytest.fixture(scope="module")
def written(nginx: Path) -> Iterator[tuple[Edge, list[dict[str, str]]]]:
    """Everything that was logged while SAID was said, and then once more without a relay."""
    with running(nginx) as edge:
        for name, data in SAID.items():
            with edge.recorder.answers(answer("402 Payment Required") if name == "refused by the relay" else answer()):
                ask(edge.port, data.replace(b"HOST", f"llm.example.com:{edge.port}".encode()))
        edge.recorder.close()
        ask(edge.port, SAID["passed"].replace(b"HOST", f"llm.example.com:{edge.port}".encode()))
        edge.stop()
        text = (edge.folder / "logs" / "access.log").read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        yield edge, lines


def test_each_request_is_one_line_of_json_with_its_reason_and_route(written: tuple[Edge, list[dict[str, str]]]) -> None:
    assert [(line["status"], line["reason"], line["route"]) for line in written[1]] == EXPECTED


def test_all_values_are_text_and_what_a_client_says_can_not_break_a_line(written: tuple[Edge, list[dict[str, str]]]) -> None:
    assert all(isinstance(value, str) for line in written[1] for value in line.values())
    assert written[1][0]["user_agent"] == 'te"st\\1'


def test_the_method_is_the_one_that_was_sent_though_an_error_page_answers(written: tuple[Edge, list[dict[str, str]]]) -> None:
    assert [line["method"] for line in written[1][:3]] == ["POST", "POST", "PUT"]


def test_a_refused_path_is_kept_without_its_query(written: tuple[Edge, list[dict[str, str]]]) -> None:
    assert [line["path"] for line in written[1][:3]] == ["", "/v1/files", ""]


def test_times_of_the_relay_are_there_only_when_it_was_asked(written: tuple[Edge, list[dict[str, str]]]) -> None:
    asked, refused, down = written[1][0], written[1][1], written[1][-1]
    assert float(asked["header_s"]) >= 0
    assert float(asked["connect_s"]) >= 0
    assert (refused["header_s"], refused["connect_s"]) == ("", "")
    assert down["header_s"] == "-"


def test_no_secret_is_written_anywhere(written: tuple[Edge, list[dict[str, str]]]) -> None:
    edge = written[0]
    assert SECRET not in (edge.folder / "logs" / "access.log").read_text(encoding="utf-8")
    assert SECRET not in edge.error_log()
