"""The command line: each command does its one thing, says its problems plainly, and exits with the documented status."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from relay.cli import main

PROFILES = Path(__file__).parents[2] / "nginx" / "profiles"
GOOD = """
[[channel]]
name = "up"
base_url = "http://127.0.0.1:9/v1"
models = ["m"]

[[key]]
name = "bob"
hash = "sha256:{}"
""".format("0" * 64)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "relay.toml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in ("chat", "check", "docs", "edge", "key", "run", "serve"):
        assert f"\n  {command} " in result.output


def test_an_unknown_command_is_bad_use() -> None:
    assert run("serv").exit_code == 2


def test_check_says_ok_for_a_good_file(config: Path) -> None:
    result = run("check", "-c", str(config))
    assert (result.exit_code, result.output) == (0, f"{config}: ok\n")


def test_check_lists_every_problem_with_its_line(config: Path) -> None:
    config.write_text("[server]\nwokers = 2\ndrain = 'soon'\n" + GOOD, encoding="utf-8")
    result = run("check", "-c", str(config))
    assert result.exit_code == 1
    assert "relay.toml:2: server.wokers" in result.output
    assert "relay.toml:3: server.drain" in result.output


def test_check_speaks_json(config: Path) -> None:
    config.write_text("[edge]\nworkers = 'two'\n" + GOOD, encoding="utf-8")
    found = json.loads(run("check", "-c", str(config), "--json").output)
    assert [(problem["line"], problem["path"]) for problem in found["problems"]] == [(2, "edge.workers")]


def test_a_missing_file_is_a_problem_without_a_traceback(tmp_path: Path) -> None:
    for words in (("check",), ("serve",), ("edge", "render", "-o", str(tmp_path / "out"))):
        result = run(*words, "-c", str(tmp_path / "none.toml"))
        assert result.exit_code == 1
        assert "none.toml" in result.output
        assert isinstance(result.exception, SystemExit)


def test_a_key_is_printed_once_with_the_hash_to_paste(config: Path) -> None:
    made = json.loads(run("key", "create", "alice", "-c", str(config), "--json").output)
    assert set(made) == {"name", "key", "hash"}
    config.write_text(GOOD + f'\n[[key]]\nname = "{made["name"]}"\nhash = "{made["hash"]}"\n', encoding="utf-8")
    assert run("check", "-c", str(config)).exit_code == 0


def test_a_key_can_be_made_before_there_is_a_file(tmp_path: Path) -> None:
    result = run("key", "create", "alice", "-c", str(tmp_path / "none.toml"))
    assert result.exit_code == 0
    assert tomllib.loads(result.output[result.output.index("[[key]]") :])["key"][0]["name"] == "alice"


def test_a_name_that_is_taken_is_refused(config: Path) -> None:
    result = run("key", "create", "bob", "-c", str(config))
    assert result.exit_code == 1
    assert "'bob'" in result.output


@pytest.mark.parametrize("name", ["", "two words", 'quo"te', "new\nline"])
def test_a_name_that_the_file_would_refuse_is_refused_at_once(config: Path, name: str) -> None:
    result = run("key", "create", name, "-c", str(config))
    assert result.exit_code == 1
    assert "sk-" not in result.output


def test_render_writes_a_complete_bundle(config: Path, tmp_path: Path) -> None:
    result = run("edge", "render", "-c", str(config), "-o", str(tmp_path / "edge"))
    assert result.exit_code == 0, result.output
    assert "POST /v1/chat/completions HTTP/1.1" in (tmp_path / "edge" / "nginx.conf").read_text(encoding="utf-8")


def test_render_with_an_nginx_that_is_not_there_says_so(config: Path, tmp_path: Path) -> None:
    result = run("edge", "render", "-c", str(config), "-o", str(tmp_path / "edge"), "--nginx", str(tmp_path / "nginx"))
    assert result.exit_code == 1
    assert "nginx" in result.output


def test_stale_generated_files_fail_the_check_and_name_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PROFILES, tmp_path / "nginx" / "profiles")
    (tmp_path / "nginx" / "profiles" / "plain-http" / "nginx.conf").write_text("older", encoding="utf-8")
    for words, remedy in ((("docs",), "make docs"), (("edge", "profiles"), "make nginx")):
        result = run(*words, "--check")
        assert result.exit_code == 1
        assert remedy in result.output


def test_run_without_demo_points_to_serve() -> None:
    result = run("run")
    assert result.exit_code == 2
    assert "relay serve" in result.output
