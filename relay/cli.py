"""The command `relay`: each command is one call into the package that does the work.

Nothing heavy is imported before a command runs, so that `relay --help` answers at once. Exit status: 0 ok, 1 a problem was found,
2 bad use.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from relay import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.config.load import Loaded

config_option = click.option(
    "-c",
    "--config",
    "config",
    type=click.Path(path_type=Path),
    default=Path("relay.toml"),
    envvar="RELAY_CONFIG",
    show_default=True,
    help="The one configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="postgate")
def main() -> None:
    """Postgate: a public OpenAI-compatible endpoint in a box."""


@main.command()
@config_option
def serve(config: Path) -> None:
    """Run the relay alone, in the foreground (the edge in front is nginx, see `relay edge`)."""
    from relay import app

    loaded = _load(config)
    try:
        app.run(loaded.settings)
    except OSError as error:
        _fail(f"can't serve: {error}")


@main.command()
@click.option("--demo", is_flag=True, help="With a real small model, or UPSTREAM_URL= behind the same edge.")
def run(*, demo: bool) -> None:
    """Run model, relay and edge together in the foreground, for a first look (what `make run` does)."""
    from relay.demo.stack import run_stack

    if not demo:
        _fail(
            "for now `relay run` needs --demo; a configured relay is started with `relay serve -c FILE` behind `relay edge render`",
            status=2,
        )
    sys.exit(run_stack(os.environ))


@main.command()
@config_option
@json_option
def check(config: Path, *, as_json: bool) -> None:
    """Check the configuration file: every problem at once, as file:line: setting: what is wrong."""
    from relay.config import load

    verdict = load.check(config, os.environ)
    if as_json:
        click.echo(
            json.dumps({"problems": [one.as_dict() for one in verdict.problems], "notices": [one.as_dict() for one in verdict.notices]})
        )
    else:
        click.echo("\n".join([*map(str, verdict.notices), *map(str, verdict.problems), *([] if verdict.problems else [f"{config}: ok"])]))
    sys.exit(1 if verdict.problems else 0)


@main.group()
def key() -> None:
    """Callers' keys."""


@key.command("create")
@click.argument("name")
@config_option
@json_option
def key_create(name: str, config: Path, *, as_json: bool) -> None:
    """Make a key for NAME: the key is shown once, its hash goes into the file."""
    from relay.admin.keys import create_key

    taken = {known.name for known in _load(config, resolve=False).settings.key} if config.exists() else set()
    if name in taken:
        _fail(f"{config}: there is a [[key]] named {name!r} already; choose another name")
    try:
        made = create_key(name, os.urandom)
    except ValueError as error:
        _fail(f"{name!r}: {error}")
    if as_json:
        click.echo(json.dumps({"name": made.name, "key": made.secret, "hash": made.hash}))
        return
    click.echo(f"key   {made.secret}\n\nIt is not shown again. Put this into {config}:\n\n{made.toml}")


@main.group()
def edge() -> None:
    """The nginx in front."""


@edge.command("render")
@config_option
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True, help="Folder of the bundle.")
@click.option("--nginx", type=click.Path(path_type=Path), default=None, help="The nginx that will run it.  [default: the first one found]")
def edge_render(config: Path, folder: Path, nginx: Path | None) -> None:
    """Write a complete nginx bundle; run it with `nginx -p DIR -c nginx.conf`."""
    from relay.edge.bundle import render, worker_user, write_bundle
    from relay.edge.conf import ConfError
    from relay.edge.facts import EdgeUnavailable, find_nginx, probe

    settings, home = _load(config, resolve=False).settings, config.resolve().parent
    try:
        program = find_nginx(nginx)
        user = worker_user(settings, home)
        write_bundle(render(settings, probe(program), home=home, bundle=folder.resolve(), user=user), folder.resolve(), user=user)
    except (EdgeUnavailable, ConfError, OSError) as error:
        _fail(str(error))
    click.echo(f"{folder / 'nginx.conf'}\nrun  {program} -p {folder} -c nginx.conf")


@edge.command("profiles")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; fail if a file is stale.")
def edge_profiles(*, only_check: bool) -> None:
    """Regenerate nginx/profiles, the shipped examples (in a checkout)."""
    from relay.edge.profiles import profiles

    root = Path("nginx/profiles")
    if not root.is_dir():
        _fail("no nginx/profiles here; run it in a checkout of postgate (make nginx)")
    _write({str(path): text for path, text in profiles(root).items()}, only_check=only_check, remedy="make nginx")


@main.command()
@click.option("--check", "only_check", is_flag=True, help="Change nothing; fail if a file is stale.")
def docs(*, only_check: bool) -> None:
    """Regenerate the generated documents (in a checkout)."""
    from relay.config.reference import reference_files
    from relay.telemetry.catalogue import reference

    _write({**reference_files(), "docs/metrics.md": reference()}, only_check=only_check, remedy="make docs")


@main.command()
@click.argument("prompt", required=False)
@click.option("-m", "--model", default=None, help="Model to talk to.  [default: the endpoint's first]")
@click.option(
    "--url", default=None, envvar="RELAY_URL", help="The endpoint, as in http://127.0.0.1:8080/v1.  [default: that of `make run`]"
)
def chat(prompt: str | None, model: str | None, url: str | None) -> None:
    """Talk to a model through the edge; shows time to first token and tokens per second. The key comes from RELAY_KEY or `make run`."""
    from relay.chat import talk

    sys.exit(talk(prompt, model=model, url=url, environ=os.environ))


def _load(config: Path, *, resolve: bool = True) -> "Loaded":
    from relay.config.findings import ConfigError
    from relay.config.load import load

    try:
        loaded = load(config, os.environ, resolve=resolve)
    except ConfigError as error:
        _fail("\n".join(str(problem) for problem in error.problems))
    for notice in loaded.notices:
        click.echo(str(notice), err=True)
    return loaded


def _write(files: "Mapping[str, str]", *, only_check: bool, remedy: str) -> None:
    """Write generated files, or compare them with what is there."""
    stale = [name for name, text in files.items() if not Path(name).is_file() or Path(name).read_text(encoding="utf-8") != text]
    if only_check and stale:
        _fail(f"stale: {', '.join(stale)}; run: {remedy}")
    for name in stale:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(files[name], encoding="utf-8")
        click.echo(name)


def _fail(message: str, status: int = 1) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
