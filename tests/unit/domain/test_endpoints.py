"""The route table is the one place where a path is opened."""

import re

from relay.domain.endpoints import BY_PATH, ENDPOINTS, MODELS_PATH, Operation


def test_these_paths_are_served_and_no_others() -> None:
    served = [(endpoint.path, endpoint.upstream_path, endpoint.operation, endpoint.needs, endpoint.streams) for endpoint in ENDPOINTS]
    assert served == [
        ("/v1/chat/completions", "/chat/completions", "chat", "messages", True),
        ("/v1/completions", "/completions", "text_completion", "prompt", True),
        ("/v1/embeddings", "/embeddings", "embeddings", "input", False),
    ]
    assert MODELS_PATH == "/v1/models"


def test_a_path_is_one_row_and_found_exactly() -> None:
    assert list(BY_PATH.values()) == list(ENDPOINTS)
    assert BY_PATH.keys().isdisjoint({MODELS_PATH, "/v1", "/v1/", "/v1/chat/completions/", "/V1/chat/completions", "/chat/completions"})


def test_a_path_is_plain_text_under_v1_that_no_hop_can_read_in_two_ways() -> None:
    for path in (*BY_PATH, MODELS_PATH):
        assert re.fullmatch(r"/v1(/[a-z0-9]+)+", path)
    for endpoint in ENDPOINTS:
        assert endpoint.path == f"/v1{endpoint.upstream_path}"


def test_operations_have_the_names_of_opentelemetry() -> None:
    assert {operation.value for operation in Operation} == {"chat", "text_completion", "embeddings"}
