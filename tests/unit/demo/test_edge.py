"""The nginx of a run."""

from pathlib import Path

import pytest

from relay.config.schema import Settings
from relay.demo import edge as module
from relay.demo.edge import edge_command
from relay.demo.fault import CannotRun
from relay.edge.facts import EdgeUnavailable

SETTINGS = Settings.model_validate({"server": {"listen": "unix:relay.sock"}, "edge": {"listen": "127.0.0.1:8080"}})


def test_a_bundle_is_written_and_the_command_that_runs_it_is_told(tmp_path: Path) -> None:
    program, *arguments = edge_command(SETTINGS, home=tmp_path, bundle=tmp_path / "edge", place=tmp_path)
    assert Path(program).is_absolute()
    assert arguments == ["-p", f"{tmp_path}/edge/", "-c", "nginx.conf"]
    conf = (tmp_path / "edge" / "nginx.conf").read_text(encoding="utf-8")
    assert "daemon off;" in conf
    assert "127.0.0.1:8080" in conf


def test_logs_begin_anew(tmp_path: Path) -> None:
    logs = tmp_path / "edge" / "logs"
    logs.mkdir(parents=True)
    (logs / "access.log").touch()
    edge_command(SETTINGS, home=tmp_path, bundle=tmp_path / "edge", place=tmp_path)
    assert list(logs.iterdir()) == []


def test_a_machine_without_nginx_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*, folder: Path) -> Path:
        msg = f"no nginx in {folder}; install one"
        raise EdgeUnavailable(msg)

    monkeypatch.setattr(module, "find_nginx", none)
    with pytest.raises(CannotRun, match=rf"no edge: no nginx in {tmp_path}\nPlease install one\."):
        edge_command(SETTINGS, home=tmp_path, bundle=tmp_path / "edge", place=tmp_path)


def test_a_path_that_cannot_stand_in_a_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"Start from a folder with a plainer name\."):
        edge_command(SETTINGS, home=tmp_path, bundle=tmp_path / "$edge", place=tmp_path)
