"""Builders of settings: a file that nothing is wrong with, and Settings from tables of plain values."""

from collections.abc import Mapping

from relay.config.schema import Settings

CHANNEL: Mapping[str, object] = {"name": "main", "base_url": "https://upstream.example/v1", "models": ["m"]}
KEY: Mapping[str, object] = {"name": "alice", "hash": "sha256:" + "ab" * 32}

FILE = f"""\
[[channel]]
name = "main"
base_url = "https://upstream.example/v1"
models = ["m"]

[[key]]
name = "alice"
hash = "{KEY["hash"]}"
"""
"""The same as text."""


def settings(
    server: Mapping[str, object] | None = None,
    edge: Mapping[str, object] | None = None,
    channels: tuple[Mapping[str, object], ...] = ({},),
    keys: tuple[Mapping[str, object], ...] = ({},),
) -> Settings:
    """Make Settings from what is special about them. Each channel and each key begins as the one above."""
    return Settings.model_validate(
        {
            "server": server or {},
            "edge": edge or {},
            "channel": [{**CHANNEL, **channel} for channel in channels],
            "key": [{**KEY, **key} for key in keys],
        }
    )
