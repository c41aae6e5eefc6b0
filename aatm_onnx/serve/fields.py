"""Reading a request's JSON: null is as good as absent, unknown fields are ignored, a wrong type is named."""

import json
from collections.abc import Mapping
from typing import Any

from ..ranking import check_text
from .errors import bad_request, invalid

Body = Mapping[str, Any]

_WORDS = {"true": True, "false": False}  # RAGFlow's Xinference client sends booleans as strings


def read_object(data: bytes) -> Body:
    """The JSON object that a body is.

    Raises:
        ApiError: 400, it is none.
    """
    try:
        body = json.loads(data, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise bad_request("The body is not UTF-8.") from None
    except RecursionError:
        raise bad_request("The body is nested too deeply.") from None
    except ValueError as error:
        raise bad_request(f"The body is not JSON ({error}).") from None
    if not isinstance(body, dict):
        raise invalid(f"The body must be a JSON object, not {kind_of(body)}.")
    return body


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def kind_of(value: object) -> str:
    """What JSON calls a value."""
    names = {type(None): "null", bool: "a boolean", str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")


def text(value: object, what: str) -> str:
    """A string of whole Unicode characters."""
    if not isinstance(value, str):
        raise invalid(f"{what} must be a string, not {kind_of(value)}.")
    try:
        return check_text(value, what)
    except ValueError as error:
        raise invalid(str(error)) from None


def optional_text(body: Body, name: str) -> str | None:
    """A string, or None."""
    value = body.get(name)
    return None if value is None else text(value, name)


def flag(body: Body, name: str, default: bool = False) -> bool:
    """A boolean."""
    value = body.get(name)
    if isinstance(value, str):
        value = _WORDS.get(value.lower(), value)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false, not {kind_of(value)}.")
    return value


def whole_number(body: Body, name: str, least: int = 0) -> int | None:
    """An integer of at least `least`, or None."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        shown = value if isinstance(value, int | float) and not isinstance(value, bool) else kind_of(value)
        raise invalid(f"{name} must be an integer of at least {least}, not {shown}.")
    return value


def array(value: object, what: str) -> list[Any]:
    """An array."""
    if not isinstance(value, list):
        raise invalid(f"{what} must be an array, not {kind_of(value)}.")
    return value
