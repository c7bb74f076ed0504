"""The words that labels are made of: codes, kinds of failure, providers. Each set is closed; what is not in it becomes `other`."""

from typing import Final

from relay.domain import errors
from relay.domain.channel import Channel
from relay.domain.errors import ClientError, Fault, ServiceError, UpstreamError
from relay.telemetry.catalogue import OTHER

OK: Final = "ok"
CANCELLED: Final = "cancelled"
GONE: Final = "client_closed"

AUTH_FAILURES: Final = frozenset(
    str(fault.code) for fault in (errors.MissingKey, errors.InvalidKey, errors.ExpiredKey, errors.AddressNotAllowed, errors.BadCredentials)
)
"""Codes that say: this key is not one, or not from here."""

_CALLER_LEFT: Final = dict.fromkeys((GONE, "client_send_timeout", CANCELLED), "client_gone")
_KINDS: Final[dict[type[Fault], str]] = {ClientError: "client_error", UpstreamError: "upstream_error", ServiceError: "server_error"}
_CALLERS_AFTER_ALL: Final = {str(errors.UpstreamVerdict.code): "client_error"}  # the upstream said so


def _kinds_of_codes() -> dict[str, str]:
    """Code -> whose fault it is, read off the tree of faults: a new fault is known here as soon as it exists."""
    faults = [fault for fault in vars(errors).values() if isinstance(fault, type) and issubclass(fault, Fault)]
    return {str(fault.code or fault.type): kind for fault in faults for blamed, kind in _KINDS.items() if issubclass(fault, blamed)}


_KIND_OF_CODE: Final = {**_kinds_of_codes(), **_CALLER_LEFT, **_CALLERS_AFTER_ALL}
CODES: Final = frozenset(_KIND_OF_CODE)
"""Every code that an exchange or an attempt can end with, apart from a good end."""


def known_code(code: str) -> str:
    """The code as a label's value."""
    return code if code in CODES or code == OK else OTHER


def kind_of(code: str) -> str:
    """Whose fault a code means; empty for a good end."""
    return "" if code in {"", OK} else _KIND_OF_CODE.get(code, OTHER)


_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Types of channels whose name in the convention is another one."""

_PROVIDERS_OF_HOSTS: Final = {
    "api.anthropic.com": "anthropic",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
"""Many speak OpenAI's dialect without being OpenAI: a well-known host says more than the dialect does."""

_AZURE_HOSTS: Final = (".openai.azure.com", ".cognitiveservices.azure.com")


def provider_name(channel: Channel) -> str:
    """The channel's provider by the name that the convention gives it (gen_ai.provider.name), else the type of the channel."""
    host = channel.origin.host.lower()
    if host.endswith(_AZURE_HOSTS):
        return "azure.ai.openai"
    return _PROVIDERS_OF_HOSTS.get(host) or _PROVIDERS.get(channel.provider, channel.provider)
