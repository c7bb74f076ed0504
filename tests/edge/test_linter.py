"""What a configuration linter says about the shipped profiles: nothing but what is meant, each with its reason."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from relay.edge.profiles import USERS
from tests.repo.tree import ROOT

MEANT = {
    "proxy_buffering_off": "tokens go out as they come; a client that doesn't read is released by send_timeout (test_bodies.py)",
    "add_header_redefinition": "a preflight's own headers are no part of an error; the audit demands the rest of the set on each page",
    "http2_misdirected_request": "answered with 421 under HTTP/2 and closed otherwise, which the linter can't see in an `if` (test_tls.py)",
}
"""Finding of gixy-next -> why it stays."""


@pytest.mark.skipif(importlib.util.find_spec("gixy") is None, reason="gixy-next is not installed")
@pytest.mark.parametrize("name", USERS)
def test_a_linter_finds_only_what_is_meant(name: str) -> None:
    conf = ROOT / "nginx" / "profiles" / name / "nginx.conf"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from gixy.cli.main import main; main()", "-f", "json", conf],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    findings = {finding["plugin"]: finding["summary"] for finding in json.loads(done.stdout)}
    assert {plugin: summary for plugin, summary in findings.items() if plugin not in MEANT} == {}
