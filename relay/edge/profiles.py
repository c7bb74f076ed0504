"""The shipped examples under nginx/profiles: one relay.toml each, and the nginx.conf that it must give.

They are golden files. The text may not depend on the machine that compares it, so the facts are written down here.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from relay.config.schema import Settings
from relay.edge.bundle import CONF, render
from relay.edge.facts import TEMP_PATHS, Facts

HOME = Path("/etc/postgate")
BUNDLE = Path("/var/lib/postgate/edge")

WRITTEN = Facts(
    http2="directive",
    tls=True,
    reject_handshake=True,
    curves=("X25519", "prime256v1", "secp384r1"),
    max_headers=True,
    real_ip=True,
    stub_status=True,
    temp_paths=TEMP_PATHS,
    ipv6=True,
    open_files=1 << 16,
)
"""A recent nginx with the usual modules, linked to an OpenSSL that doesn't know the newest group yet."""

USERS: Mapping[str, str | None] = {"plain-http": None, "tls-files": "postgate:postgate", "behind-a-proxy": None}
"""Every profile, with whom its workers run as: on port 443 root starts the master, else a plain user does."""


def profile_settings(folder: Path, name: str) -> Settings:
    """Read the relay.toml of a profile. References to secrets stay references: nothing here needs what they name."""
    with (folder / name / "relay.toml").open("rb") as file:
        return Settings.model_validate(tomllib.load(file))


def profiles(folder: Path) -> Mapping[Path, str]:
    """Give the text that each generated file below `folder`, the checkout's nginx/profiles, should have."""
    return {folder / name / CONF: _conf(folder, name, user) for name, user in USERS.items()}


def _conf(folder: Path, name: str, user: str | None) -> str:
    return render(profile_settings(folder, name), WRITTEN, home=HOME, bundle=BUNDLE, user=user)[CONF]
