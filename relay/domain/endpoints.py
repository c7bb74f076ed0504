"""The route table: every path that the relay serves under /v1. The edge's admission is generated from this same table.

One row is one exact path. Adding a path here is the only way to open one: the relay's dispatch, the edge's hash map of
request lines and the edge's exact locations are all made from ENDPOINTS.
"""

from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """What a path does, by the name that the OpenTelemetry GenAI convention gives it (gen_ai.operation.name)."""

    CHAT = "chat"
    COMPLETION = "text_completion"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One POST path. `needs` is the body field without which the request makes no sense."""

    path: str  # as the caller sends it, "/v1/…"
    upstream_path: str  # appended to the channel's base_url
    operation: Operation
    needs: str
    streams: bool  # whether `"stream": true` is understood


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("/v1/chat/completions", "/chat/completions", Operation.CHAT, "messages", streams=True),
    Endpoint("/v1/completions", "/completions", Operation.COMPLETION, "prompt", streams=True),
    Endpoint("/v1/embeddings", "/embeddings", Operation.EMBEDDINGS, "input", streams=False),
)

BY_PATH: dict[str, Endpoint] = {endpoint.path: endpoint for endpoint in ENDPOINTS}

MODELS_PATH = "/v1/models"
"""Served to GET by the relay; whether the edge lets it through is the operator's choice (edge.allow_get_models)."""
