"""Lay raw values (TOML, environment, editor, command line) over frozen structs, key by key.

Knows nothing of which settings exist: the structs' types say what is accepted. Text is converted
to the type a key has, because environment and command line have nothing else; `None` leaves a key
as it is, because editors send it for what the user never set.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
from msgspec import inspect

StructT = TypeVar("StructT", bound=msgspec.Struct)


class SettingsError(Exception):
    """A setting that cannot be used; the message names key, value, place and accepted values."""


def lay(struct: StructT, values: Mapping[str, object], place: str, prefix: str = "") -> StructT:
    """Give a copy of `struct` with `values` in it; `place` says where they stand, for errors.

    Raises SettingsError.
    """
    types = {field.name: field.type for field in msgspec.structs.fields(struct)}
    changes: dict[str, object] = {}
    for key, value in values.items():
        if key not in types:
            raise SettingsError(_unknown(place, prefix, key, list(types)))
        if value is None:
            continue
        current = getattr(struct, key)
        if isinstance(current, msgspec.Struct):
            if not isinstance(value, Mapping):
                raise SettingsError(_refused(place, prefix + key, value, _section(current)))
            changes[key] = lay(current, value, place, f"{prefix}{key}.")
        else:
            changes[key] = _convert(value, types[key], place, prefix + key)
    return msgspec.structs.replace(struct, **changes)


def keys(struct: msgspec.Struct, prefix: str = "") -> Iterable[str]:
    """Give the dotted name of every key below `struct`."""
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if isinstance(value, msgspec.Struct):
            yield from keys(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def nested(key: str, value: object) -> dict[str, object]:
    """Give `{"a": {"b": value}}` for the key `a.b`."""
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def accepted(type_: object) -> str:
    """Say in words which values a field of this type accepts."""
    match inspect.type_info(type_):
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(json.dumps(value) for value in values)
        case inspect.IntType(ge=low, le=high):
            return "a whole number" + _range(low, high)
        case inspect.FloatType(ge=low, le=high):
            return "a number" + _range(low, high)
        case inspect.BoolType():
            return "true or false"
        case inspect.VarTupleType():
            return "a list of texts"
        case _:
            return "text"


def _convert(value: object, type_: object, place: str, key: str) -> object:
    if isinstance(value, str) and isinstance(inspect.type_info(type_), inspect.VarTupleType):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, type_, strict=not isinstance(value, str))
    except msgspec.ValidationError:
        raise SettingsError(_refused(place, key, value, accepted(type_))) from None


def _refused(place: str, key: str, value: object, wanted: str) -> str:
    shown = json.dumps(value, default=str, ensure_ascii=False)
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    return f"{place}: {key} = {shown} is not accepted; it takes {wanted}."


def _unknown(place: str, prefix: str, key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {prefix}{close[0]}? " if close else ""
    there = f"in [{prefix[:-1]}]" if prefix else "at the top"
    return f"{place}: there is no setting {prefix}{key}; {hint}Known {there}: {', '.join(known)}."


def _section(struct: msgspec.Struct) -> str:
    return "a table with the keys " + ", ".join(struct.__struct_fields__)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" of at most {high:g}"
    return f" of at least {low:g}" if high is None else f" from {low:g} to {high:g}"
