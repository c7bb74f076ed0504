"""Reading settings: the file, the variables, the secrets, and what the machine puts in the way."""

import contextlib
import os
import stat
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.findings import ConfigError
from relay.config.load import LARGEST, Verdict, check, check_text, load
from tests.support.settings import FILE

HERE = Path("relay.toml")


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "relay.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def problems(verdict: Verdict) -> list[str]:
    assert verdict.settings is None
    return [str(problem) for problem in verdict.problems]


@contextlib.contextmanager
def plain_user() -> Iterator[None]:
    """Be a user who may not read everything."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


def test_a_good_file_becomes_settings(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    loaded = load(file, {})
    assert (loaded.settings.channel[0].name, loaded.settings.key[0].name) == ("main", "alice")
    assert (loaded.notices, loaded.path) == ((), file)


def test_variables_are_laid_over_the_file(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, '[server]\ndrain = "1m"\n' + FILE), {"RELAY_SERVER_DRAIN": "2m", "RELAY_EDGE_TLS_MODE": "off"})
    assert loaded.settings.server.drain == 120


def test_secrets_are_read_from_variables_and_files(tmp_path: Path) -> None:
    (tmp_path / "up.key").write_text("sk-2\n")
    (tmp_path / "up.key").chmod(0o600)
    (tmp_path / "cred").write_text("sk-3")
    file = write(tmp_path, FILE.replace("models =", 'keys = ["env:UP", "file:up.key", "cred:cred"]\nmodels ='))
    loaded = load(file, {"UP": "sk-1", "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert [key.get_secret_value() for key in loaded.settings.channel[0].keys] == ["sk-1", "sk-2", "sk-3"]
    assert loaded.notices == ()


def test_a_secret_that_others_can_read_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "up.key").write_text("sk-2\n")
    (tmp_path / "up.key").chmod(0o644)
    (notice,) = load(write(tmp_path, FILE.replace("models =", 'keys = ["file:up.key"]\nmodels =')), {}).notices
    assert str(notice).endswith("relay.toml:4: channel.0.keys.0: other users may read or change up.key; chmod 600 up.key")


def test_paths_are_taken_from_the_folder_of_the_file_and_not_from_where_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    write(tmp_path, FILE.replace("models =", 'ca_file = "ca.pem"\nmodels ='))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    loaded = load(Path("../relay.toml"), {"RELAY_SERVER_LISTEN": "unix:a.sock"})
    assert loaded.settings.server.listen == f"unix:{tmp_path}/a.sock"
    assert loaded.settings.channel[0].ca_file == f"{tmp_path}/ca.pem"


def test_every_mistake_is_found_in_one_reading(tmp_path: Path) -> None:
    text = '[server]\ntries = "3"\n[[channel]]\nname = "a"\nkeys = ["env:NONE"]\n[[channel]]\nname = "a"\nmodels = []\n'
    found = problems(check(write(tmp_path, text), {"RELAY_EDGE_WORKERS": "0"}))
    assert [line.partition("relay.toml")[2].partition(": ")[2].partition(":")[0] or line for line in found] == [
        "server.tries",
        "channel.0.base_url",
        "channel.0.models",
        "channel.0.keys.0",
        "channel.1.base_url",
        "channel.1.name",
        "channel.1.models",
        "environment: RELAY_EDGE_WORKERS: must be at least 1",
    ]


def test_an_error_has_every_problem_and_every_notice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(write(tmp_path, '[server]\ntries = 0\nanswer_limit = 0\n[[channel]]\nkeys = ["sk-1"]\n'), {"RELAY_SERVER_X": "1"})
    assert len(refused.value.problems) == 5
    assert [notice.path for notice in refused.value.notices] == ["channel.0.keys.0", "RELAY_SERVER_X"]


def test_without_resolving_references_stay_and_no_other_file_is_opened(tmp_path: Path) -> None:
    keys = 'keys = ["env:NONE", "file:none", "cred:none"]\nca_file = "none.pem"\nmodels ='
    tls = '[edge]\ntls = { mode = "files", certificate = "none", key = "none" }\n'
    loaded = load(write(tmp_path, tls + FILE.replace("models =", keys)), {}, resolve=False)
    assert [key.get_secret_value() for key in loaded.settings.channel[0].keys] == ["env:NONE", "file:none", "cred:none"]
    assert (loaded.notices, loaded.settings.channel[0].ca_file) == ((), f"{tmp_path}/none.pem")


def test_certificates_that_are_not_there_are_noticed(tmp_path: Path) -> None:
    tls = '[edge]\ntls = { mode = "files", certificate = "chain.pem", key = "key.pem" }\n'
    assert [notice.path for notice in load(write(tmp_path, tls + FILE), {}).notices] == ["edge.tls.certificate", "edge.tls.key"]


# --- files that can't be read


def test_a_file_that_is_not_there_leads_to_the_sample() -> None:
    assert problems(check(Path("none.toml"), {})) == [
        "none.toml: there is no such file; name yours with -c FILE, or start from a copy of deploy/relay.toml"
    ]


def test_a_folder_leads_to_the_file_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    assert problems(check(Path("conf"), {})) == ["conf: this is a folder; name the file in it: conf/relay.toml"]


def test_a_file_that_may_not_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    file.chmod(0)
    with plain_user():
        verdict = check(file, {})
    assert problems(verdict) == [f"{file}: this user may not read it; give the user that runs relay the right to"]


def test_a_circle_of_links_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    HERE.symlink_to(HERE)
    assert problems(check(HERE, {})) == ["relay.toml: can't be read: too many levels of symbolic links"]


def test_what_is_no_path_is_no_file() -> None:
    assert problems(check(Path("a\x00b"), {})) == ["a\\x00b: not a path"]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with HERE.open("wb") as file:
        file.truncate(LARGEST + 1)
    assert problems(check(HERE, {})) == ["relay.toml: larger than 16 MiB; is this the right file?"]


def test_a_secret_that_is_no_plain_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    file = write(tmp_path, FILE.replace("models =", 'keys = ["file:pipe", "file:/dev/zero"]\nmodels ='))
    assert [line.rpartition(": ")[2].partition(";")[0] for line in problems(check(file, {}))] == ["not a plain file", "not a plain file"]


def test_a_mark_of_the_byte_order_is_passed_over() -> None:
    assert check_text("\ufeff" + FILE, {}, path=HERE).settings
    assert problems(check_text("\ufeff[server]\ntries = 0\n", {}, path=HERE)) == ["relay.toml:2: server.tries: must be at least 1"]


def test_a_text_can_be_checked_before_it_is_a_file(tmp_path: Path) -> None:
    verdict = check_text(FILE, {}, path=tmp_path / "none" / "relay.toml")
    assert verdict.settings is not None
    assert verdict.settings.server.listen == f"unix:{tmp_path}/none/run/relay.sock"


# --- what must never be seen

SECRETS = st.text(st.sampled_from("abcXYZ019-_.:/+=$%{}#'é \t"), max_size=12).map(lambda text: f"SECRET{text}")
PLACES = (
    *('[[channel]]\nkeys = ["{}"]\n', '[[channel]]\nkeys = "{}"\n', '[[channel]]\nkey = ["{}"]\n', '[[channel]]\nkeys = [["{}"]]\n'),
    *('[[channel]]\nkeys = {{ a = "{}" }}\n', '[[channel]]\nbase_url = "https://u:{}@a.b"\n', '[[channel]]\nbase_url = "{} "\n'),
    *('[[channel]]\nmodels = ["{} "]\n', '[[channel]]\nname = "{} "\n', '[[channel]]\nname = "{0}"\n[[channel]]\nname = "{0}"\n'),
    *('[[key]]\nhash = "{}"\n', '[[key]]\nexpires = "{}"\n', '[[key]]\nallow_ips = ["{}"]\n', '[[key]]\nallow_ips = "{}"\n'),
    *(
        '[server]\nlisten = "{} "\n',
        '[server]\ntries = "{}"\n',
        '[server]\nlog_level = "{}"\n',
        '[server]\ndrain = "{}"\n',
        'server = "{}"\n',
    ),
    *('[edge]\ndomain = "{}_"\n', '[edge]\ncors_origins = ["{}"]\n', '[edge]\nreal_ip_from = ["{}"]\n', '[edge]\nhttp10 = "{}"\n'),
    *('[[channel]]\nkeys = ["{}]\n', "[[channel]]\nkeys = [{}]\n", "[[channel]]\nkeys = {}\n", '[[channel]]\nkeys = ["{}" "b"]\n'),
)


@given(st.sampled_from(PLACES), SECRETS)
def test_nothing_that_is_said_has_a_secret_in_it(place: str, secret: str) -> None:
    environ = {"RELAY_SERVER_DRAIN": secret, "RELAY_EDGE_DOMAIN": f"{secret}_", "RELAY_EDGE_X": secret, "UP": secret, "SQL_DSN": secret}
    verdict = check_text(place.format(secret) + '[[channel]]\nkeys = ["env:UP"]\n', environ, path=HERE)
    said = [*map(str, (*verdict.problems, *verdict.notices)), *map(repr, (*verdict.problems, *verdict.notices, verdict))]
    assert verdict.problems
    assert [line for line in said if "SECRET" in line] == []


@given(SECRETS.map(lambda text: "SECRET" + "".join(text.split()).replace("é", "")))
def test_settings_and_errors_show_no_secret(secret: str) -> None:
    verdict = check_text(FILE.replace("models =", 'keys = ["env:UP"]\nmodels ='), {"UP": secret}, path=HERE)
    assert verdict.settings is not None
    assert verdict.settings.channel[0].keys[0].get_secret_value() == secret
    assert "SECRET" not in repr(verdict) + verdict.settings.model_dump_json()


def test_the_trace_of_an_error_shows_no_secret(tmp_path: Path) -> None:
    file, environ = write(tmp_path, '[server]\nlisten = "SECRET"\n[[channel]]\nkeys = "SECRET"\n'), {"RELAY_SERVER_DRAIN": "SECRET"}
    with pytest.raises(ConfigError) as refused:
        load(file, environ)
    assert refused.value.__context__ is None
    assert "SECRET" not in "".join(traceback.format_exception(refused.value))


@given(st.text())
def test_any_text_gives_a_verdict(text: str) -> None:
    verdict = check_text(text, {}, path=HERE)
    assert (verdict.settings is None) == bool(verdict.problems)


@given(
    st.dictionaries(
        st.sampled_from(["RELAY_SERVER_DRAIN", "RELAY_EDGE_HTTP10", "RELAY_EDGE_LISTEN", "RELAY_EDGE_TLS_KEY"]), st.text(st.characters())
    )
)
def test_any_environment_gives_a_verdict_that_can_be_printed(environ: dict[str, str]) -> None:
    verdict = check_text(FILE, environ, path=HERE)
    for finding in (*verdict.problems, *verdict.notices):
        assert str(finding).isprintable()
        str(finding).encode()
