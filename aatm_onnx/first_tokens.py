"""The first tokens of a long text, without tokenizing all of it: exactly those that the whole text begins with.

The text is cut where Qwen3's word splitting always ends a word, whatever follows: before a space that follows a visible
character, or between a letter and a character that is surely not one. Such a cut changes no token before it. A text
without such places (a megabyte of spaces, or of letters) is one endless word. BPE merges within it depend on their
neighbours only, so a cut shows near the cut alone. Either way the text is cut twice, and the first tokens count only if
both cuts agree on them. That also covers added tokens, which a cut may divide.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Encode = Callable[[list[str]], list[list[int]]]

# A token of Qwen3 has some four characters, so that twice as many characters as tokens are wanted, and again twice, do.
_CHARACTERS_PER_TOKEN = 16
# How far a safe place is looked for, and how far apart both cuts are at least.
_WINDOW = 4096
_LONGEST_ADDED_TOKEN = 1024

# Qwen2's and Qwen3's, which the default model's tokenizer has too.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LETTER = "A-Za-z\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"  # with kana, Chinese and Korean
_NO_LETTER = " \n!-@\\[-`{-~\u3001\u3002\u300c\u300d\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"  # and their punctuation
_SAFE_PLACE = re.compile(rf"(?<=[!-~\w])(?= )|(?<=[{_LETTER}])(?=[{_NO_LETTER}])")


def can_cut(tokenizer: "Tokenizer") -> bool:
    """Whether texts may be cut before this tokenizer reads them: a byte-level BPE that splits words as Qwen3's."""
    normalizers = {part["type"] for part in _parts(tokenizer.normalizer, "normalizers")}
    splitters = _parts(tokenizer.pre_tokenizer, "pretokenizers")
    added = tokenizer.get_added_tokens_decoder().values()
    return (
        type(tokenizer.model).__name__ == "BPE"
        and normalizers <= {"NFC", "Lowercase"}
        and [part["type"] for part in splitters] == ["Split", "ByteLevel"]
        and splitters[0].get("pattern") == {"Regex": _WORDS}
        and (splitters[0].get("behavior"), splitters[0].get("invert")) == ("Isolated", False)
        and (splitters[1].get("add_prefix_space"), splitters[1].get("use_regex")) == (False, False)
        and all(len(token.content) < _LONGEST_ADDED_TOKEN for token in added)
    )


def _parts(component: Any, inner: str) -> Sequence[dict[str, Any]]:
    """What a normalizer or a pre-tokenizer does, one after the other, as tokenizer.json says it."""
    if component is None:
        return []
    content = json.loads(component.__getstate__())
    return content[inner] if content["type"] == "Sequence" else [content]


def is_long(text: str, most: int) -> bool:
    """Whether it pays to cut a text whose first `most` tokens are wanted."""
    return len(text) > 2 * _first_length(most)


def first_tokens(encode: Encode, text: str, most: int) -> tuple[list[int], bool]:
    """The first tokens of a long text.

    Args:
        encode: gives the token ids of several texts, from a tokenizer that `can_cut` allows.
        text: the text.
        most: how many tokens are wanted.

    Returns:
        At most `most` token ids, and whether the text has more.
    """
    length = _first_length(most)
    while 2 * length < len(text):
        near, far = _cut(text, length), _cut(text, length + max(length // 4, 2 * _WINDOW))
        first, second = encode([text[:near], text[:far]])
        if far - near >= _LONGEST_ADDED_TOKEN and len(first) > most and first[:most] == second[:most]:
            return first[:most], True
        length = max(2 * length, length * most // max(1, len(first)) * 5 // 4)
    (ids,) = encode([text])
    return ids[:most], len(ids) > most


def _first_length(most: int) -> int:
    return max(_CHARACTERS_PER_TOKEN * most, 4 * _WINDOW)


def _cut(text: str, length: int) -> int:
    """The last place before `length` where a cut changes no token before it; else one that composes no characters."""
    if places := [place.start() for place in _SAFE_PLACE.finditer(text, max(0, length - _WINDOW), length + 1)]:
        return places[-1]
    while length and _may_compose(text[length]):
        length -= 1
    return length


def _may_compose(character: str) -> bool:
    """Whether normalization may join a character to the one before it: marks, and the parts of a Korean syllable."""
    return unicodedata.category(character)[0] == "M" or "\u1100" <= character <= "\u11ff"
