"""Nothing is configured twice, and nothing is configured that nobody reads."""

import ast
import typing
from collections.abc import Iterator

from pydantic import BaseModel

from relay.config.schema import Settings
from tests.repo.exceptions import READ_BY_THE_SCHEMA_ALONE
from tests.repo.tree import ROOT, modules, tree

RIVALS_OF_PYPROJECT = (
    *("setup.cfg", "setup.py", "tox.ini", "pytest.ini", ".pytest.ini", "mypy.ini", ".mypy.ini"),
    *("ruff.toml", ".ruff.toml", ".importlinter", ".flake8", ".coveragerc", "uv.toml", "uv.lock"),
)


def test_tools_are_configured_in_pyproject_alone() -> None:
    assert [rival for rival in RIVALS_OF_PYPROJECT if (ROOT / rival).exists()] == []


def tables(annotation: object) -> Iterator[type[BaseModel]]:
    """Every table of relay.toml below this one, itself included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from tables(field.annotation)
    for inner in typing.get_args(annotation):
        yield from tables(inner)


def test_every_setting_is_read_by_the_code_that_it_steers() -> None:
    declared = {f"{table.__name__}.{field}" for table in tables(Settings) for field in table.model_fields}
    # Of relay.config only the ladder steers anything: it derives numbers for both hops.
    steering = [path for module, path in modules().items() if not module.startswith("relay.config.") or module == "relay.config.ladder"]
    read = {node.attr for path in steering for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    unread = {setting for setting in declared if setting.partition(".")[2] not in read}
    assert unread == set(READ_BY_THE_SCHEMA_ALONE), "read the setting, or take it (or its entry in tests/repo/exceptions.py) out"
