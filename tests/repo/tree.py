"""The checkout as the guards see it: its files, its modules, their syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("relay", "tests", "tools")


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = map(ROOT.joinpath, listed.stdout.split("\0")) if listed.returncode == 0 else _unpacked(ROOT)
    return tuple(sorted(path for path in found if path.is_file()))


def _unpacked(folder: Path) -> Iterator[Path]:
    """Walk a tree that came without git, leaving out what make made."""
    for path in folder.iterdir():
        if path.is_file():
            yield path
        elif path.name == ".ci" or not path.name.startswith((".", "__pycache__", "dist")):
            yield from _unpacked(path)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sources(*folders: str) -> list[Path]:
    return [path for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def modules() -> dict[str, Path]:
    """Dotted names of the product's modules and packages."""
    return {name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in sources("relay")}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
