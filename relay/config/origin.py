"""Where a setting was written: a line of the file, or a variable. Rules speak of settings; this turns what they say into findings."""

import functools
from collections.abc import Mapping

from relay.config.findings import ENVIRONMENT, Notice, Problem, Remark, Where, dotted
from relay.config.lines import Lines, key_lines


class Origin:
    """One file and the variables that were laid over it. Its lines are looked for when something is to be said, not before."""

    def __init__(self, file: str, text: str, variables: Mapping[Where, str] | None = None) -> None:
        self._file = file
        self._text = text
        self._variables = variables or {}

    @functools.cached_property
    def _lines(self) -> Lines:
        return key_lines(self._text)

    def problem(self, remark: Remark) -> Problem:
        """Refuse the settings for this."""
        return Problem(*self._finding(remark))

    def notice(self, remark: Remark) -> Notice:
        """Let the settings pass, but say this."""
        return Notice(*self._finding(remark))

    def _finding(self, remark: Remark) -> tuple[str, int | None, str, str, str | None]:
        hint = remark.hint
        if remark.first is not None:
            hint = f"the first is on line {self._lines.of(remark.first)}"
        if variable := self._variable(remark.path):
            return ENVIRONMENT, None, variable, remark.what, hint
        return self._file, self._lines.of(remark.path), dotted(remark.path), remark.what, hint

    def _variable(self, where: Where) -> str | None:
        """Find the variable to blame: the one that set this, or one that set a part of this table when the file says nothing of it."""
        if where in self._variables or where in self._lines.exact:
            return self._variables.get(where)
        return next((name for path, name in self._variables.items() if where and path[: len(where)] == where), None)
