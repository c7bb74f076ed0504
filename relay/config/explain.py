"""What pydantic refuses, in the words of someone who writes a configuration file.

The parser's jargon ends here: no "Input should be a valid integer". What a value is may be said, its text never is.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from relay.config.fields import Setting, setting_at, settings, table_at
from relay.config.findings import Remark, Where, closest, did_you_mean, remark
from relay.config.overlay import Unread

_BOUNDS = {"gt": "must be more than", "ge": "must be at least", "lt": "must be less than", "le": "must be at most"}
_SHAPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "a text"),
    (int, "a number"),
    (float, "a number with a fraction"),
    (list, "a list"),
    (dict, "a table"),
    ((date, time), "a date or a time"),
)
_ALIKE = 0.85
"""A name this close to one of its own table is a slip of the pen, even where another table has exactly that name."""


def explain(refused: ValidationError, tables: Mapping[str, object]) -> Iterator[Remark]:
    """Say each error once. `tables` is what was validated."""
    errors = refused.errors(include_url=False)
    meant = {(*error["loc"][:-1], _meant(error["loc"])) for error in errors if error["type"] == "extra_forbidden"}
    said = set()
    for error in errors:
        if error["type"] == "missing" and error["loc"] in meant:
            continue  # it is there, misspelt, and that is said
        found = _say(error, _written_at(error["loc"], tables))
        if found not in said:
            said.add(found)
            yield found


def _say(error: ErrorDetails, where: Where) -> Remark:
    setting = setting_at(where)
    if error["type"] == "extra_forbidden":
        return _unknown(where, error["input"])
    if error["type"] == "value_error":
        return remark(where, str(error["ctx"]["error"]))
    if setting is None:
        return Remark(where, "can't be read")
    return _WORDINGS.get(error["type"], _misshapen)(setting, where, error)


# --- a setting with a wrong value


def _missing(setting: Setting, where: Where, _error: ErrorDetails) -> Remark:
    return Remark(where, "is missing", setting.kind.made_by or f"write for example {setting.name} = {setting.example}")


def _no_choice(setting: Setting, where: Where, error: ErrorDetails) -> Remark:
    hint = did_you_mean(str(error["input"]), setting.choices) if len(setting.choices) > 1 else None
    return Remark(where, f"must be {setting.kind.word}", hint)


def _out_of_bounds(setting: Setting, where: Where, error: ErrorDetails) -> Remark:
    ((name, bound),) = error["ctx"].items()
    return Remark(where, f"{_BOUNDS[name]} {setting.kind.text(bound)}")


def _too_many(_setting: Setting, where: Where, error: ErrorDetails) -> Remark:
    return Remark(where, f"has more than {error['ctx']['max_length']} entries")


def _misshapen(setting: Setting, where: Where, error: ErrorDetails) -> Remark:
    """Say what belongs there, and what is there instead."""
    value, is_entry = error["input"], isinstance(where[-1], int)
    if setting.table:
        needed = "a list of tables" if setting.is_list and not is_entry else "a table"
        return Remark(where, f"needs {needed}, not {_shape(value)}", f"write {setting.heading}")
    kind = setting.entry_kind if is_entry else setting.kind
    needed = kind.word if kind.word.startswith("true") else f"a {kind.word}"
    if isinstance(value, Unread):
        return Remark(where, f"needs {needed}")
    if isinstance(value, str) and not kind.quoted:
        return Remark(where, f"needs {needed}, not a text", "leave out the quotes")
    example = f"write for example {setting.name} = {setting.example}" if setting.is_list and not is_entry else None
    return Remark(where, f"needs {needed}, not {_shape(value)}", example)


_WORDINGS: Mapping[str, Callable[[Setting, Where, ErrorDetails], Remark]] = {
    "missing": _missing,
    "literal_error": _no_choice,
    "greater_than": _out_of_bounds,
    "greater_than_equal": _out_of_bounds,
    "less_than": _out_of_bounds,
    "less_than_equal": _out_of_bounds,
    "too_long": _too_many,
}


def _shape(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return next((words for types, words in _SHAPES if isinstance(value, types)), "this")


# --- a name that no setting has


def _unknown(where: Where, value: object) -> Remark:
    is_table = isinstance(value, dict) or (isinstance(value, list) and value != [] and all(isinstance(entry, dict) for entry in value))
    what = "unknown table" if is_table else "unknown setting"
    if meant := _meant(where, alike=_ALIKE):
        return Remark(where, what, f"did you mean '{meant}'")
    elsewhere = [setting for setting in settings() if setting.name == where[-1] and bool(setting.table) == is_table]
    if elsewhere:
        homes = dict.fromkeys(_home(setting) for setting in elsewhere)
        return Remark(where, what, f"it belongs in {' or '.join(homes)}")
    if meant := _meant(where):
        return Remark(where, what, f"did you mean '{meant}'")
    return Remark(where, what, _far_cousin(str(where[-1])))


def _far_cousin(name: str) -> str | None:
    """Look for a name in all tables."""
    singles = {setting.name: setting for setting in settings() if not setting.table}
    meant = closest(name, singles, alike=_ALIKE)
    return f"did you mean '{meant}' of {_home(singles[meant])}" if meant else None


def _meant(where: Where, *, alike: float = 0.6) -> str | None:
    table = table_at(where[:-1])
    return closest(str(where[-1]), table.model_fields, alike=alike) if table else None


def _home(setting: Setting) -> str:
    above = setting_at(setting.path[:-1])
    return above.heading if above else "the top of the file"


def _written_at(loc: Where, tables: Mapping[str, object]) -> Where:
    """Turn pydantic's place into the one in the file: a name refused as such is the setting's, a list of models has positions."""
    at: Any = tables
    where: Where = ()
    for part in loc:
        if isinstance(at, list) and isinstance(part, str):
            return (*where, at.index(part))
        if not isinstance(at, (dict, list)):
            break
        where = (*where, part)
        at = at[int(part)] if isinstance(at, list) else at.get(part)
    return where
