"""What a tokenizer's normalizer puts in place of what: how far its patterns look, and how long it may make a text.

Of regular expressions those are known that look at letters and apostrophes alone, and at where they begin and end:
`(?<=\\p{L}{2})our\\b`, `ph(?=\\p{L})`. Of others the worst is taken.
"""

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Llama's tokenizers make three bytes of every space.
_MOST_GROWTH = 16
_CLASS = r"\[[a-z'’]+\]|\[\^[a-z]*\\P\{L\}\]"  # noqa: RUF001
_LETTER = rf"(?:[a-z]|\\p\{{L\}}|{_CLASS})"
_WITHIN_WORD = re.compile(rf"(?:{_LETTER}|\\[b1]|\{{\d\}}|\(\?(?:[:=!]|<[=!])|[()|])+")
_LOOKS = re.compile(r"\(\?<?[=!](?:[^()]|\((?:\?:)?[^()]*\))*\)|\\b")  # what matches nothing itself
_GROUP = re.compile(r"\((?:\?:)?([^()]*)\)")


def looks_beyond_words(replacement: dict[str, Any]) -> bool:
    """Whether what is replaced may depend on a space, or on what is behind one."""
    pattern = replacement["pattern"]
    if "Regex" in pattern:
        return not _shortest(pattern["Regex"])
    return len(pattern["String"]) != 1 or pattern["String"] == " "


def check_growth(tokenizer: "Tokenizer") -> None:
    """Refuse a normalizer that can make a long text of a short one, which would end the process for lack of memory.

    Raises:
        ValueError: it can.
    """
    growth, alone, written = 1.0, 1.0, set[str]()
    for part in normalizer_parts(tokenizer):
        if part["type"] == "Sequence":
            growth *= _MOST_GROWTH
        elif part["type"] == "Prepend":
            growth *= 2
        elif part["type"] == "Replace":
            replaced, factor = part["pattern"].get("String"), _growth(part)
            if replaced and not written & set(replaced):  # it never meets what an earlier replacement wrote
                alone = max(alone, factor)
            else:
                growth *= factor
            written |= set(part["content"])
    if growth * alone >= _MOST_GROWTH:
        raise ValueError("its normalizer may make texts longer without bound")


def normalizer_parts(tokenizer: "Tokenizer") -> list[dict[str, Any]]:
    """What a tokenizer's normalizer does, one after the other, as tokenizer.json says it."""
    return _parts(tokenizer.normalizer, "normalizers")


def splitter_parts(tokenizer: "Tokenizer") -> list[dict[str, Any]]:
    """What its pre-tokenizer does."""
    return _parts(tokenizer.pre_tokenizer, "pretokenizers")


def _parts(component: Any, inner: str) -> list[dict[str, Any]]:
    if component is None:
        return []
    content: dict[str, Any] = json.loads(component.__getstate__())
    return list(content[inner]) if content["type"] == "Sequence" else [content]


def _growth(part: dict[str, Any]) -> float:
    """How many times as long, in bytes, a replacement makes a text at most."""
    written, replaced = len(part["content"].encode()), part["pattern"].get("String")
    if replaced == "":
        return _MOST_GROWTH
    shortest = _shortest(part["pattern"]["Regex"]) if replaced is None else len(replaced.encode())
    if not shortest:  # it may match the empty text beside every character
        return 1 + written
    return float(max(1, written / shortest))


def _shortest(pattern: str) -> int:
    """How many characters a regular expression matches at least; 0 also if it is not one of those that are known."""
    if not _WITHIN_WORD.fullmatch(pattern):
        return 0
    matching = _GROUP.sub(lambda group: min(group[1].split("|"), key=_letters), _LOOKS.sub("", pattern))
    return min(map(_letters, matching.split("|")))


def _letters(pattern: str) -> int:
    """Of how many letters a pattern is, 0 if it is not of letters alone."""
    return len(re.findall(_LETTER, pattern)) if re.fullmatch(f"(?:{_LETTER})*", pattern) else 0
