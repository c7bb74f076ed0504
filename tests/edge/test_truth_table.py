"""A running nginx answers the truth table, request by raw request."""

import json
import re

import pytest

from tests.edge.raw import Reply, ask
from tests.edge.running import Edge, found
from tests.edge.truth import CASES, Case

NOT_TO_BE_REPEATED = {400, 403, 413, 414, 431}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_edge_answers_as_the_table_says(edge: Edge, case: Case) -> None:
    edge.recorder.seen.clear()
    said = case.request.replace(b"HOST", f"llm.example.com:{edge.port}".encode()).replace(b"PORT", str(edge.port).encode())
    reply = ask(edge.port, said)
    assert reply.status in case.status
    assert len(edge.recorder.seen) == (1 if reply.status == 200 else 0)
    assert case.passes or reply.status != 200
    assert_well_spoken(reply)
    if reply.status == -1:
        assert json.loads(reply.body)["error"]["code"] == "malformed_http"
    elif reply.status == 200:
        assert json.loads(reply.body) == {"ok": True}
    elif reply.status and not said.startswith(b"HEAD "):
        assert_openai_error(reply)
        assert case.code is None or reply.error["code"] == case.code


def assert_well_spoken(reply: Reply) -> None:
    """What holds for every answer, whoever made it."""
    assert not re.search(rb"nginx/|<html|<center>", reply.raw)
    if reply.status > 0:
        assert reply.header("Content-Type") == ["application/json"]
        assert [bool(re.fullmatch("[0-9a-f]{32}", value)) for value in reply.header("X-Request-Id")] == [True]
        assert reply.header("X-Accel-Buffering") == ["no"]


def assert_openai_error(reply: Reply) -> None:
    """What holds for every answer that nginx made."""
    assert set(reply.error) == {"message", "type", "param", "code", "request_id"}
    assert all(isinstance(reply.error[name], str) and reply.error[name] for name in ("message", "type", "code"))
    assert reply.error["param"] is None
    assert [reply.error["request_id"]] == reply.header("X-Request-Id")
    assert reply.header("X-Should-Retry") == (["false"] if reply.status in NOT_TO_BE_REPEATED else [])


def test_the_table_is_long_enough_and_names_each_row_once() -> None:
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_distributions_nginx_is_under_test_too() -> None:
    if "distribution" not in found():
        pytest.skip("no distribution's nginx on this machine: the edge was tested on the wheel's alone (make debian-nginx fetches one)")
