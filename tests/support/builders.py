"""Small builders: each names what it builds and takes only what a test wants to be different."""

from collections.abc import Mapping
from datetime import date
from ipaddress import ip_network

from relay.domain.access import Principal, digest_of
from relay.domain.channel import Candidate, Channel, Credential, Origin
from relay.domain.endpoints import BY_PATH
from relay.wire.chat import ChatRequest

CHAT = BY_PATH["/v1/chat/completions"]
COMPLETIONS = BY_PATH["/v1/completions"]
EMBEDDINGS = BY_PATH["/v1/embeddings"]

KEY = "sk-" + "0123456789abcdef" * 4
"""A caller's key."""

UPSTREAM_SECRET = "sk-upstream-0123456789abcdef"
MODEL = "gpt-small"


def chat_request(*, model: str = MODEL, stream: bool = False, **fields: object) -> ChatRequest:
    """A request that `wire.chat.read` has let through."""
    messages = [{"role": "user", "content": "Hi"}]
    return ChatRequest(model, stream, {"model": model, "messages": messages, "stream": stream, **fields})


def channel(
    name: str = "main",
    *,
    models: Mapping[str, str] | None = None,
    priority: int = 0,
    host: str = "upstream.example",
    path: str = "/v1",
) -> Channel:
    """A channel over TLS that serves MODEL under its own name."""
    return Channel(
        name=name,
        provider="openai",
        origin=Origin(tls=True, host=host, port=443),
        authority=host,
        path=path,
        models={MODEL: MODEL} if models is None else models,
        priority=priority,
        first_byte_s=60.0,
        idle_s=60.0,
    )


def candidate(of: Channel | None = None, secret: str | None = UPSTREAM_SECRET) -> Candidate:
    """A channel with a credential, or with none."""
    where = of or channel()
    return Candidate(where, None if secret is None else Credential(f"{where.name}#1", secret))


def principal(
    key: str = KEY,
    *,
    models: set[str] | None = None,
    networks: tuple[str, ...] | None = None,
    expires: date | None = None,
    enabled: bool = True,
) -> Principal:
    """The holder of KEY, who may do everything."""
    return Principal(
        name="alice",
        digest=digest_of(key),
        models=None if models is None else frozenset(models),
        networks=None if networks is None else tuple(map(ip_network, networks)),
        expires=expires,
        enabled=enabled,
    )
