"""The folder of a run and the relay.toml in it."""

import contextlib
import os
import socket
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay import chat
from relay.config.schema import Settings
from relay.demo import folder as module
from relay.demo.choice import Choice, Kind
from relay.demo.fault import CannotRun
from relay.demo.folder import RunFolder, settings_text
from relay.domain.access import digest_of, hash_text

KEY = "sk-" + "ab" * 32
ECHO = Choice(Kind.ECHO, ("echo-1",), "")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    with contextlib.closing(RunFolder.below(tmp_path)) as run:
        yield run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def text(choice: Choice = ECHO, url: str = "http://127.0.0.1:9/v1", listen: str = "unix:relay.sock") -> str:
    return settings_text(choice, url=url, edge_port=8080, admin_port=8101, listen=listen, key=KEY)


# --- the folder


def test_only_its_owner_can_look_into_it(run: RunFolder, tmp_path: Path) -> None:
    assert run.path == tmp_path / ".run"
    assert mode(run.path) == 0o700


def test_git_looks_past_it(run: RunFolder) -> None:
    assert (run.path / ".gitignore").read_text(encoding="ascii") == "*\n"


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / ".run").mkdir(mode=0o755)
    with contextlib.closing(RunFolder.below(tmp_path)) as run:
        assert mode(run.path) == 0o700


def test_a_second_run_gets_a_folder_of_its_own(run: RunFolder, tmp_path: Path) -> None:
    with contextlib.closing(RunFolder.below(tmp_path)) as second:
        assert second.path == run.path / "2"
        assert second.key() != run.key()


def test_the_first_folder_is_taken_again_when_its_run_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with contextlib.closing(RunFolder.below(tmp_path)) as run:
            assert run.path == tmp_path / ".run"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".run").write_text("a file", encoding="ascii")
    with pytest.raises(CannotRun, match=r"\.run: can't be written \(File exists\)"):
        RunFolder.below(tmp_path)


def test_more_runs_than_anybody_wants_are_refused(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 1)
    with pytest.raises(CannotRun, match="1 runs are using it"):
        RunFolder.below(tmp_path)
    assert run.path.is_dir()


# --- the key


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        with contextlib.closing(RunFolder.below(tmp_path)) as run:
            keys.add(run.key())
    assert len(keys) == 1
    assert mode(tmp_path / ".run" / "key") == 0o600


@pytest.mark.parametrize("broken", [b"", b"sk-short\n", b"\xff\xfe"])
def test_a_broken_key_file_is_replaced(run: RunFolder, broken: bytes) -> None:
    (run.path / "key").write_bytes(broken)
    assert len(run.key()) == 67
    assert (run.path / "key").read_text(encoding="ascii") == f"{run.key()}\n"


# --- where the relay listens


def test_the_relay_listens_in_the_folder(run: RunFolder) -> None:
    assert run.listen() == "unix:relay.sock"


@pytest.mark.parametrize("name", ["x" * 120, "with a blank", "with$dollar"])
def test_a_path_that_no_socket_can_have_gives_way_to_a_short_one_that_goes_with_the_run(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir()
    with contextlib.closing(RunFolder.below(place)) as run:
        path = Path(run.listen().removeprefix("unix:"))
        assert mode(path.parent) == 0o700
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        assert run.listen() == f"unix:{path}"
    assert not path.parent.exists()


def test_a_socket_that_a_killed_relay_left_behind_is_removed(run: RunFolder) -> None:
    path = run.path / "relay.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
        run.listen()
        assert path.is_socket()  # somebody listens
    run.listen()
    assert not path.exists()


# --- what a run leaves for others


def test_relay_chat_finds_what_is_announced_until_the_run_ends(tmp_path: Path) -> None:
    assert chat.find_running(tmp_path) is None
    with contextlib.closing(RunFolder.below(tmp_path)) as run:
        key = run.key()
        run.announce("http://127.0.0.1:8080/v1", "echo-1")
        assert mode(run.running) == 0o600
        assert chat.find_running(tmp_path) == chat.Target("http://127.0.0.1:8080/v1", key, "echo-1")
    assert chat.find_running(tmp_path) is None


def test_a_file_is_written_for_its_owner_alone_whatever_was_there(run: RunFolder) -> None:
    run.config.write_text("old", encoding="ascii")
    run.config.chmod(0o644)
    run.write(run.config, "new")
    assert (run.config.read_text(encoding="ascii"), mode(run.config)) == ("new", 0o600)
    assert not list(run.path.glob("*.new"))


# --- relay.toml


def test_the_settings_are_valid_and_listen_on_loopback_alone() -> None:
    settings = Settings.model_validate(tomllib.loads(text()))
    assert settings.edge.listen == "127.0.0.1:8080"
    assert settings.server.admin == "127.0.0.1:8101"
    assert settings.channel[0].base_url == "http://127.0.0.1:9/v1"


def test_a_key_is_in_the_settings_as_its_hash_alone() -> None:
    assert KEY not in text()
    assert hash_text(digest_of(KEY)) in text()


def test_the_upstreams_key_is_a_reference() -> None:
    own = Choice(Kind.OWN, ("a", "b"), "", "http://127.0.0.1:9/v1", has_key=True)
    parsed = tomllib.loads(text(own))["channel"][0]
    assert parsed["keys"] == ["env:UPSTREAM_KEY"]
    assert parsed["models"] == ["a", "b"]


@pytest.mark.parametrize("odd", ['"', "\\", "\n", "日本", "\x7f", "\x01", '"""', "]"])
def test_odd_characters_stay_what_they_are(odd: str) -> None:
    parsed = tomllib.loads(text(Choice(Kind.OWN, (odd,), ""), url=odd, listen=odd))
    assert parsed["channel"][0]["models"] == [odd]
    assert parsed["channel"][0]["base_url"] == odd
    assert parsed["server"]["listen"] == odd


def test_logs_lie_together(run: RunFolder) -> None:
    assert run.log("relay") == run.path / "logs" / "relay.log"
    assert os.access(run.log("relay").parent, os.W_OK)
