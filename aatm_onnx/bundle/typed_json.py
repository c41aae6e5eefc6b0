"""JSON as dataclasses: every value of the type that its field is annotated with, or one phrase that names the field."""

import sys
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


def read_as(kind: Any, value: Any, where: str = "") -> Any:
    """Turn what `json.loads` gave into a dataclass, or a list, dict or plain value, of the annotated type.

    Fields that a dataclass does not have are left out: a newer tool may have added them.

    Args:
        kind: a type: a dataclass, `list[X]`, `dict[str, X]`, `X | None`, str, int, float or bool.
        value: the JSON value.
        where: what to call it in errors, "graph.tolerance".

    Raises:
        TypeError: it is of another type, or a field without a default is missing.
    """
    arguments = get_args(kind)
    if isinstance(kind, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return None if value is None else read_as(inner, value, where)
    plain: Any = get_origin(kind) or (dict if is_dataclass(kind) else kind)
    allowed: Any = (int, float) if plain is float else plain
    unwanted_bool = isinstance(value, bool) and plain is not bool  # Python's bool is an int
    if unwanted_bool or not isinstance(value, allowed):
        raise TypeError(f"{where or 'it'} is {_shortened(value)} and not of type {plain.__name__}")
    if is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    if plain is list:
        return [read_as(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    if plain is dict:
        return {name: read_as(arguments[1], item, f"{where}[{name!r}]") for name, item in value.items()}
    if plain is float and not abs(value) <= sys.float_info.max:
        raise TypeError(f"{where or 'it'} is {_shortened(value)}, which is too large a number")
    return value


def _read_dataclass(kind: Any, value: dict[str, Any], where: str) -> Any:
    hints, known = get_type_hints(kind), {}
    for field in fields(kind):
        name = f"{where}.{field.name}" if where else field.name
        if field.name in value:
            known[field.name] = read_as(hints[field.name], value[field.name], name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise TypeError(f"{name} is missing")
    return kind(**known)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."
