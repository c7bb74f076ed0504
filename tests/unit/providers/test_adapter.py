"""What every row of the table keeps to, whatever its dialect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.endpoints import ENDPOINTS, Endpoint
from relay.domain.errors import UpstreamError, UpstreamVerdict
from relay.providers.adapter import Adapter
from relay.providers.table import ADAPTERS
from relay.wire.http_head import Framing, Head
from relay.wire.openai_error import error_body
from tests.support.builders import UPSTREAM_SECRET, candidate, channel

EVERY = pytest.mark.parametrize("adapter", [pytest.param(adapter, id=name) for name, adapter in ADAPTERS.items()])


@EVERY
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_request_head_is_whole_lines_without_what_differs_from_call_to_call(adapter: Adapter, endpoint: Endpoint) -> None:
    head = adapter.request_head(candidate(channel(host="upstream.example:8443")), endpoint)
    line, *fields, last = head.split(b"\r\n")
    assert line.startswith(b"POST /")
    assert line.endswith(b" HTTP/1.1")
    assert last == b""
    assert b"" not in fields
    names = [field.partition(b":")[0].lower() for field in fields]
    assert len(names) == len(set(names))
    assert {b"content-length", b"transfer-encoding", b"x-request-id", b"connection", b"cookie"}.isdisjoint(names)
    assert b"Host: upstream.example:8443" in fields
    assert b"Accept-Encoding: identity" in fields


@EVERY
def test_the_credential_stands_in_the_head_and_the_same_call_has_the_same_head(adapter: Adapter) -> None:
    heads = {adapter.request_head(candidate(), ENDPOINTS[0]) for _ in range(2)}
    assert len(heads) == 1
    assert UPSTREAM_SECRET.encode() in heads.pop()


@EVERY
@given(
    status=st.integers(100, 999).filter(lambda status: status != 200),
    headers=st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "content-type"]), st.text(max_size=8)),
    body=st.binary(max_size=60) | st.text('{}[]":,error message', max_size=60).map(str.encode),
)
def test_any_refusal_is_explained(adapter: Adapter, status: int, headers: dict[str, str], body: bytes) -> None:
    fault = adapter.explain(Head(status, headers, Framing.LENGTH, 1, keep_alive=True, size=1), body)
    assert isinstance(fault, UpstreamError)
    assert fault.upstream_status == status
    assert fault.answer_status == (status if isinstance(fault, UpstreamVerdict) else fault.status)
    assert error_body(fault).startswith(b'{"error":{"message":"')
