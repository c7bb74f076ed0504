"""Every shipped profile, rendered for an nginx of this machine, is a configuration that this nginx takes."""

import re
import subprocess
from pathlib import Path

import pytest

from relay.edge.bundle import render, write_bundle
from relay.edge.profiles import USERS, profile_settings
from tests.edge.certificates import issue
from tests.edge.running import facts_of
from tests.repo.tree import ROOT


@pytest.mark.parametrize("name", USERS)
def test_nginx_takes_a_profile(nginx: Path, name: str, tmp_path: Path) -> None:
    issue(tmp_path)
    files = dict(
        render(profile_settings(ROOT / "nginx" / "profiles", name), facts_of(nginx), home=tmp_path, bundle=tmp_path, foreground=True)
    )
    text = re.sub(r"/etc/letsencrypt/\S+/(?:full)?chain.pem", f"{tmp_path}/chain.pem", files["nginx.conf"])
    text = re.sub(r"/etc/letsencrypt/\S+/privkey.pem", f"{tmp_path}/key.pem", text)
    text = re.sub(r".*listen \[::\].*\n", "", text)
    text = re.sub(r"listen (?:[\d.]+:)?(\d+)\b(?!\.)", lambda found: f"listen 127.0.0.1:{20_000 + int(found[1])}", text)
    text = re.sub(r"listen unix:\S+;", "listen unix:run/status.sock;", text)  # a test's folder may be too deep for a socket
    write_bundle({**files, "nginx.conf": text}, tmp_path)
    done = subprocess.run([nginx, "-t", "-p", tmp_path, "-c", "nginx.conf"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, re.findall(r"\[(?:warn|emerg|alert)\].*", done.stderr)) == (0, [])
