"""The first tokens of a long text, without tokenizing all of it: exactly those that the whole text begins with.

The text is cut where the tokenizer's word splitting always ends a word, whatever follows: before a space that follows a
visible character, or, as Qwen3 splits, between a letter and a character that is surely not one. Such a cut changes no
token before it. A text without such places (a megabyte of spaces, or of letters) is one endless word. BPE merges within
it depend on their neighbours only, so a cut shows near the cut alone. Either way the text is cut twice, and the first
tokens count only if both cuts agree on them. That also covers added tokens, which a cut may divide.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .replacements import looks_beyond_words, normalizer_parts, splitter_parts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Encode = Callable[[list[str]], list[list[int]]]

# A token of Qwen3 has some four characters, so that twice as many characters as tokens are wanted, and again twice, do.
_CHARACTERS_PER_TOKEN = 16
# How far a safe place is looked for, and how far apart both cuts are at least.
_WINDOW = 4096
_LONGEST_ADDED_TOKEN = 1024

# Qwen2's and Qwen3's.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LETTER = "A-Za-z\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"  # with kana, Chinese and Korean
_NO_LETTER = " \n!-@\\[-`{-~\u3001\u3002\u300c\u300d\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"  # and their punctuation
_BEFORE_SPACE = r"(?<=[!-~\w])(?= )"

# The words of the default model's tokenizer ("Document" is spelt with a k by then).
_TERMS = r"<(?:instruct|query|dokument)>:|\b\p{L}/\p{L}\b|\p{N}+(?:\.\p{N}+)?|\p{L}+|[%#+&<>=]"


@dataclass(frozen=True)
class _Kind:
    """A way to split words, as tokenizer.json says it, and where a text that is split so may be cut."""

    normalizers: frozenset[str]
    words: str
    behavior: str
    invert: bool
    prefix_space: bool
    places: re.Pattern[str]


_KINDS = (
    _Kind(
        frozenset({"NFC", "Lowercase"}), _WORDS, "Isolated", False, False,
        re.compile(rf"{_BEFORE_SPACE}|(?<=[{_LETTER}])(?=[{_NO_LETTER}])"),
    ),
    _Kind(
        frozenset({"NFKD", "StripAccents", "Lowercase", "Replace"}), _TERMS, "Removed", True, True,
        re.compile(_BEFORE_SPACE),
    ),
)  # fmt: skip


def places_to_cut(tokenizer: "Tokenizer") -> re.Pattern[str] | None:
    """Where texts may be cut before this tokenizer reads them, if it is a byte-level BPE that splits words as known."""
    normalizers, splitters = normalizer_parts(tokenizer), splitter_parts(tokenizer)
    added = tokenizer.get_added_tokens_decoder().values()
    if (
        type(tokenizer.model).__name__ != "BPE"
        or [part["type"] for part in splitters] != ["Split", "ByteLevel"]
        or splitters[1].get("use_regex") is not False
        or any(len(token.content) >= _LONGEST_ADDED_TOKEN for token in added)
        or any(looks_beyond_words(part) for part in normalizers if part["type"] == "Replace")
    ):
        return None
    split, behavior, invert = (splitters[0].get(key) for key in ("pattern", "behavior", "invert"))
    for kind in _KINDS:
        if (
            {part["type"] for part in normalizers} <= kind.normalizers
            and (split, behavior, invert) == ({"Regex": kind.words}, kind.behavior, kind.invert)
            and splitters[1].get("add_prefix_space") is kind.prefix_space
        ):
            return kind.places
    return None


def divides_at_spaces(tokenizer: "Tokenizer") -> bool:
    """Whether both parts of a text that is cut before a space, as `places_to_cut` allows, have the tokens of the whole.

    Not if an added token has a space within or takes those around it.
    """
    added = tokenizer.get_added_tokens_decoder().values()
    return not any(" " in token.content or token.lstrip or token.rstrip for token in added)


def is_long(text: str, most: int) -> bool:
    """Whether it pays to cut a text whose first `most` tokens are wanted."""
    return len(text) > 2 * _first_length(most)


def first_tokens(encode: Encode, places: re.Pattern[str], text: str, most: int) -> tuple[list[int], bool]:
    """The first tokens of a long text.

    Args:
        encode: gives the token ids of several texts.
        places: where `places_to_cut` allows to cut texts for its tokenizer.
        text: the text.
        most: how many tokens are wanted.

    Returns:
        At most `most` token ids, and whether the text has more.
    """
    length = _first_length(most)
    while 2 * length < len(text):
        near, far = (_cut(text, at, places) for at in (length, length + max(length // 4, 2 * _WINDOW)))
        first, second = encode([text[:near], text[:far]])
        if far - near >= _LONGEST_ADDED_TOKEN and len(first) > most and first[:most] == second[:most]:
            return first[:most], True
        length = max(2 * length, length * most // max(1, len(first)) * 5 // 4)
    (ids,) = encode([text])
    return ids[:most], len(ids) > most


def _first_length(most: int) -> int:
    return max(_CHARACTERS_PER_TOKEN * most, 4 * _WINDOW)


def _cut(text: str, length: int, safe: re.Pattern[str]) -> int:
    """The last place before `length` where a cut changes no token before it; else one that composes no characters."""
    if places := [place.start() for place in safe.finditer(text, max(0, length - _WINDOW), length + 1)]:
        return places[-1]
    while length and _may_compose(text[length]):
        length -= 1
    return length


def _may_compose(character: str) -> bool:
    """Whether normalization may join a character to the one before it: marks, and the parts of a Korean syllable."""
    return unicodedata.category(character)[0] == "M" or "\u1100" <= character <= "\u11ff"
