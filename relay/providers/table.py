"""Provider name (`type` of a channel) -> adapter. What differs only by URL and flags is a channel, not a row."""

from typing import Final

from relay.providers.adapter import Adapter
from relay.providers.openai import OpenAI

ADAPTERS: Final[dict[str, Adapter]] = {"openai": OpenAI()}
