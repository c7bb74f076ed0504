"""A certificate for the tests' name, from an authority that lives as long as the test."""

import ssl
from pathlib import Path

import trustme

from tests.edge.running import DOMAIN


def issue(folder: Path) -> tuple[dict[str, str], ssl.SSLContext]:
    """Write chain and key; give the [edge] tls setting that names them, and what a client must trust."""
    authority = trustme.CA()
    issued = authority.issue_cert(DOMAIN)
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for at, pem in enumerate(issued.cert_chain_pems):
        pem.write_to_path(folder / "chain.pem", append=at > 0)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return {"mode": "files", "certificate": str(folder / "chain.pem"), "key": str(folder / "key.pem")}, trust
