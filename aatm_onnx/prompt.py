"""The Qwen3 reranker prompt: a query and a document become the token ids that the model reads.

    ids(prefix) + ids("<Instruct>: {task}\\n<Query>: {query}\\n<Document>: {document}")[:room] + ids(suffix)

The three parts are tokenized separately, the outer two without further special tokens, and the middle is cut on the
right so that the whole fits `max_length`: first of the document, then of query and task. So do Qwen3-Reranker's model
card and `aatm.rerankers.Qwen3Reranker` (aatm 0.1.7).
"""

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import INSTALL, BundleError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The words are Qwen3-Reranker's (model card of Qwen/Qwen3-Reranker-0.6B); the task is aatm's.
DEFAULT_TASK = "Given a search query, retrieve relevant concepts that match the query."
DEFAULT_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct"
    ' provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
DEFAULT_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
DEFAULT_MAX_LENGTH = 8192

# An Encoding keeps offsets and strings, about 20 times the ids; a chunk bounds what is alive at once.
_ENCODE_CHUNK = 512

TokenIds = NDArray[np.int32]


def format_instruction(instruction: str, query: str, doc: str) -> str:
    """The middle part of the prompt for one pair."""
    return f"<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {doc}"


@dataclass(frozen=True)
class PromptTokenizer:
    """Turns formatted pairs into whole prompts of token ids.

    path: the checkpoint's tokenizer.json.
    prefix_ids, suffix_ids: token ids around every pair.
    max_length: the most tokens a prompt may have, prefix and suffix included.
    allow_special_tokens: True reads `<|im_end|>`, `<think>` and their like inside a pair as control tokens, as aatm
        does. By default they are text, so a document can't end the prompt and answer for the model.
    """

    path: Path
    prefix_ids: Sequence[int]
    suffix_ids: Sequence[int]
    max_length: int
    allow_special_tokens: bool = False
    room: int = field(init=False)
    _tokenizer: "Tokenizer" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        around = len(self.prefix_ids) + len(self.suffix_ids)
        if self.max_length <= around:
            raise ValueError(
                f"max_length is {self.max_length}, but the prompt's prefix and suffix alone take {around} tokens;"
                f" give at least {around + 1}."
            )
        object.__setattr__(self, "room", self.max_length - around)
        object.__setattr__(self, "_tokenizer", read_tokenizer(self.path, added_tokens=self.allow_special_tokens))

    def encode(self, pairs: Sequence[str]) -> Iterator[TokenIds]:
        """Yield the token ids of every formatted pair's whole prompt, in order, each of shape (seq,), int32."""
        prefix, suffix = (np.asarray(ids, np.int32) for ids in (self.prefix_ids, self.suffix_ids))
        for start in range(0, len(pairs), _ENCODE_CHUNK):
            chunk = list(pairs[start : start + _ENCODE_CHUNK])
            for encoding in self._tokenizer.encode_batch_fast(chunk, add_special_tokens=True):
                yield np.concatenate([prefix, np.asarray(encoding.ids[: self.room], np.int32), suffix])


def prompt_tokenizer(
    bundle: Bundle, prefix: str, suffix: str, max_length: int, *, allow_special_tokens: bool = False
) -> PromptTokenizer:
    """The tokenizer of a bundle's prompts. The bundle's own prefix and suffix are tokenized in its manifest already."""
    own = bundle.manifest.prompt
    prefix_ids, suffix_ids = own.prefix_ids, own.suffix_ids
    if (prefix, suffix) != (own.prefix, own.suffix):
        tokenizer = read_tokenizer(bundle.tokenizer_path)
        prefix_ids, suffix_ids = (tokenizer.encode(text, add_special_tokens=False).ids for text in (prefix, suffix))
    return PromptTokenizer(bundle.tokenizer_path, prefix_ids, suffix_ids, max_length, allow_special_tokens)


def read_tokenizer(path: Path, *, added_tokens: bool = True) -> "Tokenizer":
    """Load a tokenizer.json.

    Args:
        path: the file.
        added_tokens: False leaves out the added tokens that are control tokens (`<|im_end|>`, `<think>`, ...), so that
            their names are plain text; words that were added stay. Qwen3's `<think>` is an added token that is not
            "special", so the library's own switch would miss it.

    Raises:
        BundleError: the file can't be read as a tokenizer.
        ImportError: the tokenizers library is not installed.
    """
    Tokenizer = import_tokenizer()
    try:
        data = path.read_bytes()
        tokenizer = Tokenizer.from_buffer(data) if added_tokens else _without_control_tokens(data)
        tokenizer.no_padding()  # a file may say otherwise, of the batch that it was last used for
        tokenizer.no_truncation()
        return tokenizer
    except Exception as error:  # the library raises bare Exception
        raise BundleError(
            f"{path} is not a tokenizer this version can read ({error}); export the bundle again."
        ) from error


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
    """The tokenizer of a tokenizer.json whose list of added tokens is emptied, but for the words that are added again.

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
    """Add the tokens of a file's list that are no control tokens, under the ids that they have there.

    Ids count through the list, past those of the vocabulary: so control tokens that the vocabulary does not have are
    added too, under names that no document can know.
    """
    from tokenizers import AddedToken

    for token in added:
        if not _is_control(token):
            flags = {name: token[name] for name in ("single_word", "lstrip", "rstrip", "normalized")}
            tokenizer.add_tokens([AddedToken(token["content"], **flags)])
        elif tokenizer.token_to_id(token["content"]) is None:
            tokenizer.add_tokens([secrets.token_hex()])


def _value_end(data: bytes, start: int) -> int:
    """Where the JSON value that begins at `start` ends; little is decoded, for as text the file takes more memory."""
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


def left_pad(prompts: Sequence[TokenIds], pad_token_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pad prompts on the left to the longest.

    Returns:
        input_ids and attention_mask (1 for a real token, 0 for padding), both of shape (batch, seq), int64.
    """
    shape = (len(prompts), max(map(len, prompts), default=0))
    input_ids = np.full(shape, pad_token_id, np.int64)
    attention_mask = np.zeros(shape, np.int64)
    for row, prompt in enumerate(prompts):
        if len(prompt):
            input_ids[row, -len(prompt) :] = prompt
            attention_mask[row, -len(prompt) :] = 1
    return input_ids, attention_mask  # (batch, seq), (batch, seq)
