"""References to secrets: what each finds, what each says when it finds nothing, and that nothing tells a secret."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from relay.config.places import Contents
from relay.config.secrets import LONGEST, Found, Unresolved, Vault, resolve, resolve_keys

HOME = Path("/etc/postgate")
CREDENTIALS = "/run/credentials/postgate.service"


def vault(environ: Mapping[str, str] | None = None, files: Mapping[str, bytes] | None = None, mode: int = 0o600) -> Vault:
    def read(path: Path, most: int) -> Contents:
        try:
            return Contents((files or {})[str(path)][:most], mode)
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory") from None

    return Vault(environ or {}, HOME, read)


def refusal(reference: str, at: Vault) -> str:
    with pytest.raises(Unresolved) as refused:
        resolve(reference, at)
    return f"{refused.value.what}; {refused.value.hint}"


def test_a_variable_holds_a_secret() -> None:
    assert resolve("env:UPSTREAM_KEY", vault({"UPSTREAM_KEY": "sk-1"})) == Found("sk-1")


def test_a_file_holds_a_secret_and_is_looked_for_beside_the_settings() -> None:
    files = {"/etc/postgate/up.key": b"sk-1\n", "/run/secrets/up": b"sk-2"}
    assert resolve("file:up.key", vault(files=files)) == Found("sk-1")
    assert resolve("file:/run/secrets/up", vault(files=files)) == Found("sk-2")


def test_a_credential_of_systemd_holds_a_secret() -> None:
    at = vault({"CREDENTIALS_DIRECTORY": CREDENTIALS}, {f"{CREDENTIALS}/up": b"sk-1\n"}, mode=0o444)
    assert resolve("cred:up", at) == Found("sk-1")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_the_end_of_the_line_is_taken_off(end: str) -> None:
    assert resolve("env:A", vault({"A": f"sk-1{end}"})).secret == "sk-1"


def test_a_secret_in_the_file_itself_is_used_and_doubted() -> None:
    found = resolve("sk-very-secret", vault())
    assert found.secret == "sk-very-secret"
    assert found.doubt is not None
    assert "sk-very-secret" not in "".join(found.doubt)


def test_a_file_that_others_can_read_is_used_and_doubted() -> None:
    found = resolve("file:up.key", vault(files={"/etc/postgate/up.key": b"sk-1"}, mode=0o644))
    assert found == Found("sk-1", ("other users may read or change up.key", "chmod 600 up.key"))


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NOT_SET", "the environment variable NOT_SET is not set"),
        ("env:", "env: is followed by something that is no name of a variable; write env:NAME"),
        ("env: A", "env: is followed by something"),
        ("env:1A", "env: is followed by something"),
        ("file:", "file: is followed by something that is no path; write file:PATH"),
        ("file:a\nb", "file: is followed by something"),
        ("file:up.key", "can't read up.key: no such file or directory; a relative path is taken from the folder of this file"),
        ("file:/up.key", "can't read /up.key: no such file or directory; None"),
        ("cred:up", "there is no CREDENTIALS_DIRECTORY, where systemd puts credentials; write LoadCredential=up:PATH"),
        ("cred:", "cred: is followed by something that is no name of a credential"),
        ("cred:../up", "cred: is followed by something"),
        ("cred:.", "cred: is followed by something"),
        ("", "this key is empty"),
        ("two words", "this key holds a blank"),
        ("sk-ä", "this key holds a blank or a character that is not visible ASCII"),
        ("evn:A", "not a reference; did you mean 'env:'"),
        ("Env:A", "not a reference; did you mean 'env:'"),
        (" env:A", "not a reference; did you mean 'env:'"),
        ("files:A", "not a reference; did you mean 'file:'"),
        ("credential:A", "not a reference; did you mean 'cred:'"),
        ("$A", "a variable is not put into a text here; write env:NAME"),
        ("${A}", "a variable is not put into a text here"),
        ("%A%", "a variable is not put into a text here"),
        ("os.environ/A", "a variable is not put into a text here"),
    ],
)
def test_a_reference_that_leads_nowhere_says_why(reference: str, said: str) -> None:
    assert refusal(reference, vault()).startswith(said)


def test_a_credential_that_is_not_there_says_so() -> None:
    assert refusal("cred:up", vault({"CREDENTIALS_DIRECTORY": CREDENTIALS})).startswith("can't read the credential up: no such file")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"SECRET SECRET", "holds a blank"),
        (b"SECRET\nSECRET", "holds a blank"),
        (b"\xef\xbb\xbfSECRET", "holds a blank"),
        (b"SECRET\x00", "holds a blank"),
        (b"SECRET\xff", "holds a blank"),
        (b"S" * (LONGEST + 1), "is longer than"),
        (b"T" * (LONGEST + 100), "is longer than"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_can_not_be_a_secret_is_refused_and_not_shown(value: bytes, said: str) -> None:
    for reference, at in (
        ("file:up", vault(files={"/etc/postgate/up": value})),
        ("cred:up", vault({"CREDENTIALS_DIRECTORY": "/c"}, {"/c/up": value})),
        ("env:UP", vault({"UP": value.decode("utf-8", "surrogateescape")})),
    ):
        complaint = refusal(reference, at)
        assert said in complaint
        assert "SECRET" not in complaint


def test_the_longest_secret_is_taken() -> None:
    longest = b"s" * LONGEST
    assert resolve("file:up", vault(files={"/etc/postgate/up": longest + b"\n"})).secret.encode() == longest


def test_without_a_disk_references_stay_as_they_are_and_bad_ones_are_still_refused() -> None:
    at = Vault({}, HOME, None)
    assert [resolve(reference, at).secret for reference in ("env:A", "file:a", "cred:a")] == ["env:A", "file:a", "cred:a"]
    assert refusal("env:", at).startswith("env: is followed by")
    assert resolve("sk-1", at).doubt


# --- all keys of a file


def test_every_key_of_every_channel_is_resolved() -> None:
    tables = {"channel": [{"keys": ["env:A", "sk-2", "env:B"]}, {"keys": ["file:none"]}, {}], "server": {}}
    resolved = resolve_keys(tables, vault({"A": "sk-1"}))
    assert [remark.path for remark in resolved.problems] == [("channel", 0, "keys", 2), ("channel", 1, "keys", 0)]
    assert [remark.path for remark in resolved.notices] == [("channel", 0, "keys", 1)]
    channels: Any = resolved.tables["channel"]
    assert [key.get_secret_value() for key in channels[0]["keys"]] == ["sk-1", "sk-2", ""]
    assert tables["channel"] == [{"keys": ["env:A", "sk-2", "env:B"]}, {"keys": ["file:none"]}, {}]


@pytest.mark.parametrize("channel", [5, {"name": "a"}, [5], [{"keys": "env:A"}], [{"keys": [5, ["env:A"]]}], [{"keys": {}}]], ids=str)
def test_what_has_another_shape_is_left_for_the_schema(channel: object) -> None:
    resolved = resolve_keys({"channel": channel}, vault())
    assert (resolved.tables, resolved.problems) == ({"channel": channel}, [])


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).map(lambda text: f"sk-SECRET{text}")
SPOILT = st.sampled_from(
    ["{}", " {}", "{} {}", "{}\u00e4", "\u202e{}", "{}\n", "{}\t", "${}", "%{}%", "evn:{}", "env: {}", "cred:../{}", "https://{}"]
)


@given(SECRETS, SPOILT)
def test_no_finding_tells_a_secret_wherever_it_came_from(secret: str, shape: str) -> None:
    value = re.sub(r"\{\}", lambda _: secret, shape)
    files = {"/etc/postgate/up": value.encode(), "/c/up": value.encode()}
    at = vault({"UP": value, "CREDENTIALS_DIRECTORY": "/c"}, files, mode=0o666)
    resolved = resolve_keys({"channel": [{"keys": [value, "env:UP", "file:up", "cred:up"]}]}, at)
    shown = repr(resolved) + "".join(f"{remark.what}{remark.hint}" for remark in (*resolved.problems, *resolved.notices))
    assert "SECRET" not in shown
    assert all(isinstance(key, SecretStr) for channel in resolved.tables["channel"] for key in channel["keys"])  # type: ignore[attr-defined]
