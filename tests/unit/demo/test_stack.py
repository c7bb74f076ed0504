"""The order of things in a run, as far as no program has to be started: those that do are in tests/e2e."""

import io
from pathlib import Path

import pytest

from relay.demo import stack
from relay.demo.choice import Choice, Kind
from relay.demo.fault import CannotRun
from relay.demo.folder import settings_text

OWN = {"UPSTREAM_URL": "http://127.0.0.1:9/v1", "UPSTREAM_MODELS": "a"}


def run(environ: dict[str, str], place: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    out = io.StringIO()
    code = stack.run_stack({"PORT": "0", **environ}, out=out, place=place)
    return code, out.getvalue(), capsys.readouterr().err


def checked(url: str, model: str = "a", kind: Kind = Kind.OWN) -> None:
    choice = Choice(kind, (model,), "", url)
    text = settings_text(choice, url=url, edge_port=8080, admin_port=8101, listen="unix:relay.sock", key="sk-k")
    stack.checked(text, choice)


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"PORT": "http"}, "postgate: PORT: 'http' is not a port\nGive a number"),
        ({"DEMO": "gpt"}, "postgate: DEMO=gpt: there is no such demo\n"),
        ({"UPSTREAM_URL": "http://127.0.0.1:9/v1"}, "UPSTREAM_MODELS names none\nAdd the names"),
        ({**OWN, "UPSTREAM_URL": "127.0.0.1:9"}, "postgate: UPSTREAM_URL: not a base URL\nPlease write for example"),
        ({**OWN, "UPSTREAM_MODELS": "a b"}, "postgate: UPSTREAM_MODELS: "),
    ],
)
def test_what_is_wrong_is_said_in_one_message_before_anything_starts(
    environ: dict[str, str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(environ, tmp_path, capsys)
    assert code == 1
    assert complaint in err
    assert "Traceback" not in err
    assert "starting" not in out
    assert not (tmp_path / ".run" / "relay.toml").exists()


def test_nothing_is_made_below_a_place_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".run").touch()
    code, _, err = run(OWN, tmp_path, capsys)
    assert code == 1
    assert "can't be written" in err


def test_a_password_in_an_address_is_never_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run({**OWN, "UPSTREAM_URL": "http://me:secret@127.0.0.1/v1"}, tmp_path, capsys)
    assert code == 1
    assert "secret" not in out + err


def test_settings_that_the_user_had_no_part_in_are_our_own_mistake() -> None:
    checked("http://127.0.0.1:9/v1")
    with pytest.raises(CannotRun, match="UPSTREAM_URL"):
        checked("nonsense")
    with pytest.raises(ValueError, match="base_url"):
        checked("nonsense", kind=Kind.ECHO)


def test_the_upstreams_key_reaches_the_relay_alone_and_nothing_overlays_the_settings() -> None:
    environ = {"PATH": "/bin", "UPSTREAM_KEY": "secret", "RELAY_SERVER_ADMIN": "0.0.0.0:80", "RELAY_CONFIG": "x"}
    assert stack.environ_of_a_program(environ, with_key=True) == {"PATH": "/bin", "UPSTREAM_KEY": "secret"}
    assert stack.environ_of_a_program(environ, with_key=False) == {"PATH": "/bin"}
