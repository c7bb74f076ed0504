"""The nginx of a run: found, asked what it can do, given a bundle rendered from the run's settings."""

from pathlib import Path

from relay.config.schema import Settings
from relay.demo.fault import CannotRun
from relay.edge.bundle import render, worker_user, write_bundle
from relay.edge.conf import ConfError
from relay.edge.facts import EdgeUnavailable, find_nginx, probe


def edge_command(settings: Settings, *, home: Path, bundle: Path, place: Path) -> tuple[str, ...]:
    """Write the bundle, its logs begun anew, and say how to start it. `place` is where an unpacked nginx may lie. Raises CannotRun."""
    try:
        nginx = find_nginx(folder=place)
        facts = probe(nginx)
    except EdgeUnavailable as fault:
        why, _, remedy = str(fault).partition("; ")
        raise CannotRun(what="no edge", why=why, remedy=f"Please {remedy}." if remedy else "") from fault
    user = worker_user(settings, home)
    try:
        files = render(settings, facts, home=home, bundle=bundle, user=user, foreground=True)
    except ConfError as fault:
        raise CannotRun(what=str(bundle), why=str(fault), remedy="Start from a folder with a plainer name.") from fault
    for log in bundle.glob("logs/*.log"):
        log.unlink()
    write_bundle(files, bundle, user=user)
    return (str(nginx), "-p", f"{bundle}/", "-c", "nginx.conf")
