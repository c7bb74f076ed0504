"""The nginx processes themselves, and the folder they live in."""

from dataclasses import dataclass
from pathlib import Path

from relay.edge.conf import Directive, block, line, seconds
from relay.edge.facts import Facts
from relay.edge.log import ERROR_LOG
from relay.edge.policy import EdgePolicy

MOST_CONNECTIONS = 4096
FILES_PER_CONNECTION = 2
"""A request in flight holds the client's connection and one to the relay."""

NO_BODIES = "tmp/no-bodies"
NO_BODIES_TEXT = """\
This is a file and not a folder on purpose: nginx is told to put request bodies that overflow its memory buffer below it, and so can't.
A chunked body of a few hundred kilobytes can be framed so wastefully that it overflows any buffer. Such a request fails with a 500, and no
prompt is ever written to a disk.
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a bundle will live, as whom its workers run and who keeps the master: what no setting can know."""

    bundle: Path
    user: str | None = None  # "name" or "name:group"; only root can choose
    foreground: bool = False


def process(policy: EdgePolicy, facts: Facts, site: Site) -> tuple[Directive, ...]:
    """Set up the master and its workers."""
    connections = max(64, min(MOST_CONNECTIONS, facts.open_files // FILES_PER_CONNECTION))
    return (
        *_identity(site),
        *([line("daemon", "off", why="Kept in the foreground by whoever started it.")] if site.foreground else []),
        line(
            "pid",
            "run/nginx.pid",
            why="Relative paths are taken from the folder that `nginx -p` names: everything stays inside the bundle.",
        ),
        line("error_log", ERROR_LOG, "warn"),
        line("worker_processes", policy.workers),
        line(
            "worker_rlimit_nofile",
            connections * FILES_PER_CONNECTION,
            why="A request in flight needs two files: the client's connection and the relay's.",
        ),
        line(
            "worker_shutdown_timeout",
            seconds(policy.waits.shutdown_s),
            why="On a reload the old workers finish their streams, up to the longest that the relay allows.",
        ),
        block("events", body=(line("worker_connections", connections),)),
    )


def _identity(site: Site) -> tuple[Directive, ...]:
    if site.user is None:
        return ()
    return (
        line(
            "user",
            *site.user.split(":", 1),
            why="Started by root, nginx gives its workers to this user: the one to whom the relay's socket belongs, since another could "
            "not connect to it. Run the relay as a user of its own and the workers lose root with it.",
        ),
    )


def folders(facts: Facts) -> tuple[Directive, ...]:
    """Keep request bodies off every disk and the folders of unused modules inside the bundle."""
    own = {"client_body_temp_path": NO_BODIES}
    why = f"Prompts never touch a disk: {NO_BODIES} is a file, so nginx can't make a temporary one below it. The others are only made."
    return tuple(
        line(name, own.get(name, f"tmp/{name.removesuffix('_temp_path')}"), why="" if at else why)
        for at, name in enumerate(facts.temp_paths)
    )
