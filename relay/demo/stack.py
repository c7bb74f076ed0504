"""`relay run`: the upstream, the relay and the edge in the foreground, checked, announced, and ended together.

It reads PORT, DEMO, UPSTREAM_URL, UPSTREAM_KEY and UPSTREAM_MODELS, asks nothing, needs no root and writes into one folder, `.run`. What
it prints is an interface: `endpoint`, `key`, `model`, `admin`, each with its value, and last `ready`.
"""

import asyncio
import contextlib
import signal
import sys
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from pydantic import ValidationError

from relay import __version__
from relay.config.schema import Settings
from relay.demo import announcement, model, parent
from relay.demo.choice import KEY_VARIABLE, Choice, Kind, choose, echo
from relay.demo.edge import edge_command
from relay.demo.fault import CannotRun
from relay.demo.folder import RunFolder, settings_text
from relay.demo.ports import ADMIN_PORT, EDGE_PORT, LOOPBACK, Ports
from relay.demo.processes import PYTHON, Child, Program
from relay.demo.readiness import until_answering
from relay.demo.selfcheck import CHECKS, Endpoint

_OWN_PREFIX: Final = "RELAY_"


def run_stack(environ: Mapping[str, str], *, out: TextIO | None = None, place: Path | None = None) -> int:
    """Run until a signal or a fault ends it; return the exit code. `.run` is made below `place`, by default the current folder."""
    say = announcement.Speaker(out or sys.stdout)
    try:
        return asyncio.run(_until_stopped(environ, say, place or Path.cwd()))
    except (CannotRun, OSError) as fault:  # a full disk and its like name themselves
        sys.stderr.write(f"postgate: {fault}\n")
        return 1


async def _until_stopped(environ: Mapping[str, str], say: announcement.Speaker, place: Path) -> int:
    """Let a signal cancel the run, which then ends all that it started."""
    loop = asyncio.get_running_loop()
    running = loop.create_task(_run(environ, say, place))
    asked = asyncio.Event()

    def stop() -> None:
        if not asked.is_set():  # being told twice changes nothing: ending takes a moment
            asked.set()
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup means what it says
            loop.add_signal_handler(number, stop)
    watch = loop.create_task(parent.watch(stop))
    try:
        await running
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
    finally:
        watch.cancel()
    say("stopped")
    return 0


@dataclass(frozen=True)
class _Run:
    """What stays the same if the upstream has to be replaced."""

    environ: Mapping[str, str]
    say: announcement.Speaker
    place: Path
    folder: RunFolder
    edge_port: int
    admin_port: int
    upstream_port: int


class _ModelDidNotStart(Exception):
    """The small model ended before it was ready: a machine that it can't run on."""


async def _run(environ: Mapping[str, str], say: announcement.Speaker, place: Path) -> None:
    choice = choose(environ)
    with contextlib.closing(Ports()) as ports:
        edge_port = _edge_port(environ, ports, say)
        with contextlib.closing(RunFolder.below(place)) as folder:
            say(f"postgate {__version__}, everything it writes is in {folder.path}")
            now = _Run(environ, say, place, folder, edge_port, ports.first_free(ADMIN_PORT), ports.any())
            try:
                await _serve(now, choice)
            except _ModelDidNotStart as fault:
                say(str(fault))
                await _serve(now, echo("because the small model did not start"))


def _edge_port(environ: Mapping[str, str], ports: Ports, say: announcement.Speaker) -> int:
    if wanted := environ.get("PORT"):
        return ports.exactly(wanted)
    port = ports.first_free(EDGE_PORT)
    if port != EDGE_PORT:
        say(f"port {EDGE_PORT} is busy: the edge takes {port} (PORT= chooses one)")
    return port


async def _serve(now: _Run, choice: Choice) -> None:
    """Start, wait, check, announce; then wait for the first program to end, which none should."""
    key = now.folder.key()
    text = settings_text(
        choice,
        url=choice.url or f"http://{LOOPBACK}:{now.upstream_port}/v1",
        edge_port=now.edge_port,
        admin_port=now.admin_port,
        listen=now.folder.listen(),
        key=key,
    )
    settings = checked(text, choice)
    now.say(f"upstream  {choice.note}")
    now.folder.write(now.folder.config, text)
    async with _children() as children:
        now.say("starting  the upstream, the relay, the edge" if choice.kind is not Kind.OWN else "starting  the relay, the edge")
        upstream = None
        if choice.kind is not Kind.OWN:
            upstream = await Child.start(_upstream_program(now, choice))
            children.append(upstream)
        relay = await Child.start(_relay_program(now))
        children.append(relay)
        edge = await Child.start(await asyncio.to_thread(_edge_program, now, settings))
        children.append(edge)
        if upstream:
            await _upstream_answers(upstream, now.upstream_port, choice)
        await until_answering(relay, now.admin_port, "/readyz", status=200)
        await until_answering(edge, now.edge_port, "/", status=403)
        await _check(now, Endpoint(now.edge_port, key, choice))
        now.folder.announce(f"http://{LOOPBACK}:{now.edge_port}/v1", choice.models[0])
        for line in announcement.lines(now.edge_port, now.admin_port, key, choice.models):
            now.say(line)
        raise (await _first_to_end(children)).obituary()


@contextlib.asynccontextmanager
async def _children() -> AsyncIterator[list[Child]]:
    """End together all programs that were started, however the block ends."""
    children: list[Child] = []
    try:
        yield children
    finally:
        await asyncio.gather(*(child.stop() for child in children))


async def _first_to_end(children: Sequence[Child]) -> Child:
    waits = {asyncio.create_task(child.ended()): child for child in children}
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return waits[done.pop()]


async def _upstream_answers(upstream: Child, port: int, choice: Choice) -> None:
    try:
        await until_answering(upstream, port, "/health", status=200)
    except CannotRun as fault:
        if choice.may_fall_back:
            raise _ModelDidNotStart(str(fault)) from fault
        raise


async def _check(now: _Run, endpoint: Endpoint) -> None:
    """Prove from outside what is about to be announced."""
    for claim, check in CHECKS.items():
        seen = await asyncio.to_thread(check, endpoint)
        now.say(f"check  {claim}: {seen}  ok")


# --- the programs


def environ_of_a_program(environ: Mapping[str, str], *, with_key: bool) -> dict[str, str]:
    """Pass the environment on, but for what would overlay relay.toml, and the upstream's key to the relay alone."""
    hidden = set() if with_key else {KEY_VARIABLE}
    return {name: value for name, value in environ.items() if name not in hidden and not name.startswith(_OWN_PREFIX)}


def _upstream_program(now: _Run, choice: Choice) -> Program:
    environ = environ_of_a_program(now.environ, with_key=False) | (model.ENVIRONMENT if choice.kind is Kind.MODEL else {})
    command = (*PYTHON, "-m", f"relay.demo.{choice.kind}", str(now.upstream_port))
    return Program(f"upstream ({choice.kind})", command, environ, now.folder.log(choice.kind))


def _relay_program(now: _Run) -> Program:
    command = (*PYTHON, "-m", "relay.cli", "serve", "-c", str(now.folder.config))
    return Program("relay", command, environ_of_a_program(now.environ, with_key=True), now.folder.log("relay"))


def _edge_program(now: _Run, settings: Settings) -> Program:
    command = edge_command(settings, home=now.folder.path, bundle=now.folder.edge, place=now.place)
    return Program("edge (nginx)", command, environ_of_a_program(now.environ, with_key=False), now.folder.log("edge"))


def checked(text: str, choice: Choice) -> Settings:
    """Read what was written as the relay will. Only what the user gave can be wrong with it."""
    try:
        return Settings.model_validate(tomllib.loads(text))
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False)[0]
        what = "UPSTREAM_URL" if "base_url" in first["loc"] else "UPSTREAM_MODELS"
        if choice.kind is not Kind.OWN:
            raise
        why, _, remedy = first["msg"].removeprefix("Value error, ").partition("; ")
        raise CannotRun(what=what, why=why, remedy=f"Please {remedy}." if remedy else "Please correct it.") from fault
