"""The processes: who they run as, how many files they may open, and where things lie."""

from dataclasses import replace

from relay.edge.facts import Facts
from relay.edge.process import NO_BODIES, Site, folders, process
from relay.edge.scope import words
from tests.unit.edge.edges import FACTS, SITE, policy


def _lines(site: Site = SITE, facts: Facts = FACTS) -> dict[str, tuple[str, ...]]:
    return {line.name: words(line) for line in process(policy(workers=3), facts, site)}


def test_the_caller_says_who_keeps_the_master_and_whom_workers_run_as() -> None:
    assert not {"user", "daemon"} & _lines().keys()
    chosen = _lines(Site(SITE.bundle, "postgate:www-data", foreground=True))
    assert (chosen["user"], chosen["daemon"]) == (("postgate", "www-data"), ("off",))
    assert _lines(Site(SITE.bundle, "nobody"))["user"] == ("nobody",)


def test_paths_are_relative_to_the_bundle() -> None:
    lines = _lines()
    assert (lines["pid"], lines["error_log"]) == (("run/nginx.pid",), ("logs/error.log", "warn"))


def test_a_worker_may_open_two_files_for_each_connection() -> None:
    assert _lines()["worker_rlimit_nofile"] == ("8192",)
    assert _lines(facts=replace(FACTS, open_files=1024))["worker_rlimit_nofile"] == ("1024",)
    assert _lines()["worker_processes"] == ("3",)


def test_old_workers_may_finish_the_longest_stream() -> None:
    assert _lines()["worker_shutdown_timeout"] == ("1830s",)


def test_bodies_have_no_folder_and_unused_modules_stay_in_the_bundle() -> None:
    lines = {line.name: words(line) for line in folders(replace(FACTS, temp_paths=("client_body_temp_path", "scgi_temp_path")))}
    assert lines == {"client_body_temp_path": (NO_BODIES,), "scgi_temp_path": ("tmp/scgi",)}
