"""A checkpoint's tokenizer.json: read with its control tokens, or with their names as plain text."""

import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import INSTALL, BundleError
from .replacements import check_growth

if TYPE_CHECKING:
    from tokenizers import Tokenizer


# What reading a damaged file raises.
_DAMAGES = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError)


def read_tokenizer(path: Path, *, control_tokens: bool = True) -> "Tokenizer":
    """Load a tokenizer.json.

    Args:
        path: the file.
        control_tokens: False leaves out the added tokens that are control tokens (`<|im_end|>`, `<think>`, ...), so
            that their names are plain text. Added words stay. Qwen3's `<think>` is an added token that is not
            "special", so the library's own switch would miss it.

    Raises:
        BundleError: the file can't be read as a tokenizer.
        ImportError: the tokenizers library is not installed.
    """
    Tokenizer = import_tokenizer()
    try:
        data = path.read_bytes()
        tokenizer = Tokenizer.from_buffer(data) if control_tokens else _without_control_tokens(data)
        tokenizer.no_padding()  # a file may say otherwise, of the batch that it was last used for
        tokenizer.no_truncation()
        check_growth(tokenizer)
        return tokenizer
    except BaseException as error:
        if isinstance(error, TimeoutError) or not (_is_failure(error) or isinstance(error, _DAMAGES)):
            raise
        raise BundleError(
            f"{path} is not a tokenizer this version can read ({error}); export the bundle again."
        ) from error


def token_ids(tokenizer: "Tokenizer", texts: Sequence[str], *, add_special_tokens: bool = True) -> list[list[int]]:
    """The token ids of texts.

    Raises:
        ValueError: the library failed: a text is too long for its regular expressions, or its file is damaged.
    """
    try:
        encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=add_special_tokens)
        return [encoding.ids for encoding in encodings]
    except BaseException as error:
        if not _is_failure(error):
            raise
        raise ValueError(f"the tokenizer failed: {str(error)[:200]}") from error


def special_tokens(tokenizer: "Tokenizer") -> tuple[list[int], list[int]]:
    """The ids of the special tokens that a tokenizer puts before and behind every text.

    Raises:
        ValueError: the library failed.
    """
    if not tokenizer.num_special_tokens_to_add(False):
        return [], []
    (own,), (whole,) = (token_ids(tokenizer, ["a"], add_special_tokens=added) for added in (False, True))
    start = next((at for at in range(len(whole)) if whole[at : at + len(own)] == own), 0)
    return whole[:start], whole[start + len(own) :]


def _is_failure(error: BaseException) -> bool:
    """Whether the tokenizers library failed; a timeout that a signal raises goes on.

    It raises bare Exception, and its panics are not even that.
    """
    return type(error) is Exception or type(error).__name__ == "PanicException"


def import_tokenizer() -> "type[Tokenizer]":
    """Import the tokenizers library, or say what to install."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ImportError(
            f"The neural reranker needs tokenizers, which can't be imported ({error}): {INSTALL}."
        ) from error
    return Tokenizer  # type: ignore[no-any-return]


def _without_control_tokens(data: bytes) -> "Tokenizer":
    """The tokenizer of a tokenizer.json whose list of added tokens keeps only words.

    The list is cut out of the file: parsing and writing Qwen3's 11 MB of JSON anew would double the loading time.
    """
    Tokenizer = import_tokenizer()
    found = re.search(rb'"added_tokens"\s*:\s*(?=\[)', data)  # a word of the vocabulary has a number there
    if not found:
        return Tokenizer.from_buffer(data)
    start, end = found.end(), _value_end(data, found.end())
    added = json.loads(data[start:end])
    tokenizer = Tokenizer.from_buffer(b"".join([data[:start], b"[]", memoryview(data)[end:]]))
    if not all(map(_is_control, added)):
        _add_words(tokenizer, added)
    return tokenizer


def _add_words(tokenizer: "Tokenizer", added: Sequence[dict[str, Any]]) -> None:
    """Add the words of a file's list of added tokens, under the ids that they have there.

    Ids count through the list, past those of the vocabulary. A control token that the vocabulary does not have
    therefore keeps its place, under a name that no document can know.
    """
    from tokenizers import AddedToken

    for token in added:
        if not _is_control(token):
            flags = {name: token[name] for name in ("single_word", "lstrip", "rstrip", "normalized")}
            tokenizer.add_tokens([AddedToken(token["content"], **flags)])
        elif tokenizer.token_to_id(token["content"]) is None:
            tokenizer.add_tokens([secrets.token_hex()])


def _value_end(data: bytes, start: int) -> int:
    """Where the JSON value that begins at `start` ends. Only a part is decoded: as text the file takes more memory."""
    length = 1 << 16
    while True:
        some = data[start : start + length].decode("latin-1")  # a character for every byte
        try:
            return start + json.JSONDecoder().raw_decode(some)[1]
        except json.JSONDecodeError:
            if start + length >= len(data):
                raise
            length *= 2


def _is_control(token: dict[str, Any]) -> bool:
    return bool(token["special"] or re.fullmatch("<.*>", token["content"]))
