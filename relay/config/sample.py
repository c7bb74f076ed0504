"""deploy/relay.toml: every setting with its prose and its default, as a file to copy and change.

What stands behind a # without a blank is a setting as it is when nothing is said of it, or an example where that is nothing at all.
"""

import textwrap
from collections.abc import Iterator

from relay.config.fields import Setting, settings

_WIDTH = 100
_HEAD = """\
#:schema ./relay.schema.json
# Settings of Postgate: every one there is. Written by `relay docs`.
#
# A line that begins with # and no blank is a setting at its default, or an example where the text above it says what Absent or
# Empty means. Take the # away and change it. Then: relay check -c relay.toml
"""
_LIVE = {"name", "base_url", "keys", "models"}  # without these there is no channel to start with


def sample() -> str:
    """Write the file."""
    top = [setting for setting in settings() if len(setting.path) == 1]
    return "\n".join([_HEAD, *(line for setting in top for line in _table(setting))])


def _table(table: Setting) -> Iterator[str]:
    """Write a table: its own settings first, since a heading would cut them off."""
    below = [setting for setting in settings() if setting.path[:-1] == table.path]
    comment = "#" if table.name == "key" else ""
    yield from _prose(table.field.description or "")
    yield f"{comment}{table.heading}"
    for setting in below:
        if not setting.table:
            yield ""
            yield from _prose(setting.field.description or "")
            live = table.name == "channel" and setting.name in _LIVE
            yield f"{'' if live else '#'}{setting.name} = {_value(setting)}"
    yield ""
    for setting in below:
        if setting.table:
            yield from _table(setting)


def _value(setting: Setting) -> str:
    default = setting.field.get_default()
    if setting.field.is_required() or default in (None, ()):
        return setting.example or ""
    return setting.toml(default)


def _prose(text: str) -> Iterator[str]:
    yield from (f"# {line}" for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False, break_long_words=False))
