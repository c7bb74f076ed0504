"""The only reader of files and environment for settings: relay.toml, the variables over it and the secrets it refers to.

All mistakes are found in one reading. What may be wrong with a setting is said by the modules beside this one, which are pure;
here is what touches the machine, and the order of the steps.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from relay.config.advice import advice
from relay.config.agreement import disagreements, given_twice
from relay.config.explain import explain
from relay.config.findings import ENVIRONMENT, ConfigError, Notice, Problem, Remark
from relay.config.origin import Origin
from relay.config.overlay import Overlay, overlay, variable_notices
from relay.config.places import Contents, Read, absent_certificates, reason, too_long_sockets, unusable_authorities, with_absolute_paths
from relay.config.schema import Settings
from relay.config.secrets import Vault, resolve_keys
from relay.config.syntax import Slip, parse

LARGEST = 16 << 20
"""Bytes of a configuration file: far more than the most keys and channels need, little enough to be read by mistake."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that can be used."""

    settings: Settings
    notices: tuple[Notice, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that a reading found. There are settings if and only if there is no problem."""

    settings: Settings | None
    problems: tuple[Problem, ...]
    notices: tuple[Notice, ...]


def load(path: Path, environ: Mapping[str, str], *, resolve: bool = True) -> Loaded:
    """Read the settings or raise ConfigError with every problem.

    Without `resolve` the secrets stay references and no file but this one is opened: enough to render the edge or to show what
    is set, on a machine that has no business with the secrets.
    """
    verdict = check(path, environ, resolve=resolve)
    if verdict.settings is None:
        raise ConfigError(verdict.problems, verdict.notices)
    return Loaded(verdict.settings, verdict.notices, path)


def check(path: Path, environ: Mapping[str, str], *, resolve: bool = True) -> Verdict:
    """Read the settings and give what was found, whether or not they can be used."""
    try:
        text = _text(path)
    except ConfigError as refused:
        return Verdict(None, refused.problems, ())
    return check_text(text, environ, path=path, resolve=resolve)


def check_text(text: str, environ: Mapping[str, str], *, path: Path, resolve: bool = True) -> Verdict:
    """Do the same for a text that is, or is to be, at `path`: findings name it, and relative paths are taken from its folder."""
    text = text.removeprefix("\ufeff")
    parsed = parse(text)
    if isinstance(parsed, Slip):
        return Verdict(None, (Problem(str(path), parsed.line, "", parsed.what, parsed.hint),), ())
    laid = overlay(parsed, environ)
    return _Reading(Origin(str(path), text, laid.variables), laid, environ, _folder(path), _read if resolve else None).verdict()


class _Reading:
    """One file on its way to Settings, collecting what is to be said of it."""

    def __init__(self, origin: Origin, laid: Overlay, environ: Mapping[str, str], folder: Path, read: Read | None) -> None:
        self._origin = origin
        self._tables = laid.tables
        self._environ = environ
        self._folder = folder
        self._read = read
        self._problems: list[Remark] = []
        self._notices: list[Remark] = []

    def verdict(self) -> Verdict:
        settings = self._settings()
        if settings is not None:
            self._look_around(settings)
            settings = with_absolute_paths(settings, self._folder)
            self._problems += [*disagreements(settings), *too_long_sockets(settings)]
            self._notices += advice(settings)
        problems = sorted(map(self._origin.problem, self._problems), key=_order)
        notices = sorted(map(self._origin.notice, self._notices), key=_order)
        return Verdict(None if problems else settings, tuple(problems), (*notices, *variable_notices(self._environ)))

    def _settings(self) -> Settings | None:
        twice = list(given_twice(self._tables))
        resolved = resolve_keys(self._tables, Vault(self._environ, self._folder, self._read))
        self._problems += [*twice, *resolved.problems]
        self._notices += resolved.notices
        try:
            return Settings.model_validate(resolved.tables)
        except ValidationError as failed:
            refused = failed
        # Out of the handler: nothing that is raised later carries the refused input along as its context.
        self._problems += [remark for remark in explain(refused, resolved.tables) if remark.path or not twice]
        return None

    def _look_around(self, settings: Settings) -> None:
        """Look at the files that the settings name."""
        if self._read is not None:
            self._problems += unusable_authorities(settings, self._folder, self._read)
            self._notices += absent_certificates(settings, self._folder, self._read)


def _order(finding: Problem | Notice) -> tuple[bool, bool, int]:
    """Sort as the file is read, then what is about none of its lines, variables last."""
    return finding.file == ENVIRONMENT, finding.line is None, finding.line or 0


# --- what touches the machine


def _text(path: Path) -> str:
    """Read a whole file, or say why not and what to do."""
    data = _data(path)
    if len(data) > LARGEST:
        raise _refusal(path, f"larger than {LARGEST >> 20} MiB", "is this the right file?")
    try:
        return data.decode()
    except UnicodeDecodeError as failed:
        at = failed.start
    raise _refusal(path, f"not UTF-8 at byte {at}", "save the file as UTF-8", line=data.count(b"\n", 0, at) + 1)


def _data(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            return opened.read(LARGEST + 1)
    except FileNotFoundError:
        refusal = _refusal(path, "there is no such file", "name yours with -c FILE, or start from a copy of deploy/relay.toml")
    except IsADirectoryError:
        refusal = _refusal(path, "this is a folder", f"name the file in it: {path / 'relay.toml'}")
    except PermissionError:
        refusal = _refusal(path, "this user may not read it", "give the user that runs relay the right to")
    except OSError as failed:
        refusal = _refusal(path, f"can't be read: {reason(failed)}")
    except ValueError:
        refusal = _refusal(path, "not a path")
    raise refusal


def _refusal(path: Path, what: str, hint: str | None = None, *, line: int | None = None) -> ConfigError:
    return ConfigError([Problem(str(path), line, "", what, hint)])


def _read(path: Path, most: int) -> Contents:
    """Read a plain file. Anything else could block for ever or never end."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as file:
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, "not a plain file")
        return Contents(file.read(most), stat.S_IMODE(mode))


def _folder(path: Path) -> Path:
    """Give the folder that relative paths are taken from."""
    return path.parent.resolve()
