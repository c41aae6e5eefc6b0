"""JSON from outside, read strictly: small, shallow, every name once, nothing that JSON itself does not have.

Python's own reader takes NaN, repeated names, and any depth and size. What it would guess is refused here instead.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

MOST_DEPTH = 32

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def read_json(file: Path, most_bytes: int) -> Any:
    """Read a JSON file of at most `most_bytes`.

    Raises:
        OSError: the file can't be read.
        ValueError: its content is not JSON as `parse_json` takes it.
    """
    with file.open("rb") as stream:
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it has more than {most_bytes} bytes")
    return parse_json(data)


def parse_json(data: bytes) -> Any:
    """Parse UTF-8 JSON.

    Raises:
        ValueError: it is malformed, nested more than 32 deep, has a name twice in one object, a number that is not
            finite, or half of a surrogate pair.
    """
    _check_depth(data)
    value = json.loads(
        data.decode("utf-8"), object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant
    )
    if rb"\u" in data:
        _check_surrogates(value)
    return value


def _check_depth(data: bytes) -> None:
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(data):
        if found[0] in b"[{":
            depth += 1
            if depth > MOST_DEPTH:
                raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
        elif found[0] in b"]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"it has {twice!r} twice in one object")
    return known


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text in it has half of a surrogate pair") from None
