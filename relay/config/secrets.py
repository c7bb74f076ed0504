"""References to secrets become secrets: env:NAME, file:PATH and cred:NAME (a systemd credential).

Pure: the environment and the disk come as arguments. No finding ever holds a secret's text, nor a text that is in a secret's
place and not understood: a name is repeated only after it has proved to be a reference.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from relay.config.findings import Remark, Where, closest, printable
from relay.config.places import Read, reason

LONGEST = 16 << 10
CREDENTIALS = "CREDENTIALS_DIRECTORY"

_REFERENCE = re.compile(r"(env|file|cred):(.*)", re.DOTALL)
_NAMES = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"[^\x00-\x1f\x7f]+"),
    "cred": re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}"),
}
_NAMED = {"env": "name of a variable", "file": "path", "cred": "name of a credential"}
_LIKE_REFERENCE = re.compile(r"([A-Za-z]{2,10})\s*:(?!//)")
_LIKE_SHELL = re.compile(r"\$\{?[A-Za-z_]\w*\}?|%[A-Za-z_]\w*%|os\.environ/\w+")
_SECRET = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Vault:
    """Where secrets come from. Without `read`, references are looked at and left unresolved."""

    environ: Mapping[str, str]
    folder: Path  # of relay.toml
    read: Read | None


@dataclass(frozen=True, slots=True)
class Found:
    """A secret, and what is doubtful about the place where it was: what, and the next step."""

    secret: str
    doubt: tuple[str, str] | None = None


@dataclass(slots=True)
class Resolved:
    """The tables with secrets in the place of references, and what was found on the way."""

    tables: dict[str, object]
    problems: list[Remark] = field(default_factory=list)
    notices: list[Remark] = field(default_factory=list)


class Unresolved(Exception):
    """Where this leads there is no secret."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def resolve_keys(tables: Mapping[str, object], vault: Vault) -> Resolved:
    """Resolve `keys` of every [[channel]]. What has another shape than it should is left for the schema to refuse."""
    resolved = Resolved(dict(tables))
    channels = tables.get("channel")
    if isinstance(channels, list):
        resolved.tables["channel"] = [_channel(channel, number, vault, resolved) for number, channel in enumerate(channels)]
    return resolved


def _channel(channel: object, number: int, vault: Vault, into: Resolved) -> object:
    keys = channel.get("keys") if isinstance(channel, dict) else None
    if not isinstance(channel, dict) or not isinstance(keys, list):
        return channel
    return {**channel, "keys": [_key(key, ("channel", number, "keys", at), vault, into) for at, key in enumerate(keys)]}


def _key(key: object, where: Where, vault: Vault, into: Resolved) -> object:
    if not isinstance(key, str):
        return key
    try:
        found = resolve(key, vault)
    except Unresolved as failed:
        into.problems.append(Remark(where, failed.what, failed.hint))
        return SecretStr("")
    if found.doubt:
        into.notices.append(Remark(where, *found.doubt))
    return SecretStr(found.secret)


def resolve(text: str, vault: Vault) -> Found:
    """Give the secret that a reference means. A text that is no reference is a secret itself, in the wrong place."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        return _literal(text)
    kind, name = found.groups()
    if not _NAMES[kind].fullmatch(name):
        msg = f"{kind}: is followed by something that is no {_NAMED[kind]}"
        raise Unresolved(msg, f"write {kind}:{'PATH' if kind == 'file' else 'NAME'}")
    if vault.read is None:
        return Found(text)
    if kind == "env":
        return _variable(name, vault.environ)
    if kind == "file":
        return _file(name, vault.folder, vault.read)
    return _credential(name, vault.environ, vault.read)


def _variable(name: str, environ: Mapping[str, str]) -> Found:
    if name not in environ:
        msg = f"the environment variable {name} is not set"
        raise Unresolved(msg, "set it where relay is started, or write file:PATH")
    return Found(_judged(environ[name], f"the environment variable {name}"))


def _file(name: str, folder: Path, read: Read) -> Found:
    shown = printable(name)
    try:
        contents = read(folder / name, LONGEST + 2)
    except OSError as failed:
        msg = f"can't read {shown}: {reason(failed)}"
        raise Unresolved(msg, None if name.startswith("/") else "a relative path is taken from the folder of this file") from None
    doubt = (f"other users may read or change {shown}", f"chmod 600 {shown}") if contents.is_open else None
    return Found(_decoded(contents.data, shown), doubt)


def _credential(name: str, environ: Mapping[str, str], read: Read) -> Found:
    folder = environ.get(CREDENTIALS)
    if not folder:
        msg = f"there is no {CREDENTIALS}, where systemd puts credentials"
        raise Unresolved(msg, f"write LoadCredential={name}:PATH in the unit, or env:NAME here")
    try:
        contents = read(Path(folder) / name, LONGEST + 2)
    except OSError as failed:
        msg = f"can't read the credential {name}: {reason(failed)}"
        raise Unresolved(msg, f"write LoadCredential={name}:PATH in the unit") from None
    return Found(_decoded(contents.data, f"the credential {name}"))


def _literal(text: str) -> Found:
    if _LIKE_SHELL.fullmatch(text):
        msg = "a variable is not put into a text here"
        raise Unresolved(msg, "write env:NAME")
    if (kind := _LIKE_REFERENCE.match(text.strip())) and (meant := _meant(kind[1].lower())):
        msg = "not a reference"
        raise Unresolved(msg, f"did you mean '{meant}:'")
    secret = _judged(text, "this key")
    return Found(secret, ("a secret stands in this file", "put it elsewhere and write env:NAME, file:PATH or cred:NAME"))


def _meant(kind: str) -> str | None:
    """Find the kind of reference that was meant: evn, files, environment, credential."""
    return next((name for name in _NAMES if kind.startswith(name)), None) or closest(kind, _NAMES)


def _decoded(data: bytes, whence: str) -> str:
    return _judged(data.decode("latin-1"), whence)  # what is not ASCII is refused, whatever it would be in another encoding


def _judged(text: str, whence: str) -> str:
    """Take off the end of the line and demand one word that can stand in a header."""
    secret = text.rstrip("\r\n")
    if not secret:
        msg = f"{whence} is empty"
        raise Unresolved(msg)
    if len(secret) > LONGEST:
        msg = f"{whence} is longer than {LONGEST} characters"
        raise Unresolved(msg, "is this the right one?")
    if not _SECRET.fullmatch(secret):
        msg = f"{whence} holds a blank or a character that is not visible ASCII"
        raise Unresolved(msg, "a secret is one word on one line")
    return secret
