r"""The Qwen3 reranker prompt: a query and a document become the token ids that the model reads.

    ids(prefix) + ids("<Instruct>: {task}\n<Query>: {query}\n<Document>: {document}")[:room] + ids(suffix)

The three parts are tokenized separately, prefix and suffix without further special tokens. The middle is cut on the
right so that the whole fits `max_length`: first the document, then query and task. So do Qwen3-Reranker's model card
and `aatm.rerankers.Qwen3Reranker` (aatm 0.1.7).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .tokenizer import read_tokenizer

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

# An Encoding keeps offsets and strings, about 20 times the ids. A chunk bounds how many are alive at once.
_ENCODE_CHUNK = 512

TokenIds = NDArray[np.int32]


class EncodedPrompt(NamedTuple):
    """A whole prompt.

    Attributes:
        ids: its token ids, (seq,), int32.
        truncated: whether the pair was cut to fit `max_length`.
    """

    ids: TokenIds
    truncated: bool


def format_instruction(instruction: str, query: str, doc: str) -> str:
    """The middle part of the prompt for one pair."""
    return f"<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {doc}"


class PromptTokenizer:
    """Turns formatted pairs into whole prompts of token ids.

    Attributes:
        room: the most tokens that a formatted pair may have between prefix and suffix.
    """

    def __init__(
        self, tokenizer: "Tokenizer", prefix_ids: Sequence[int], suffix_ids: Sequence[int], max_length: int
    ) -> None:
        """Take a tokenizer and the tokens around every pair.

        Args:
            tokenizer: reads the pairs.
            prefix_ids: token ids before every pair.
            suffix_ids: token ids after every pair.
            max_length: the most tokens of a prompt, prefix and suffix included.

        Raises:
            ValueError: `max_length` leaves no room for a pair.
        """
        around = len(prefix_ids) + len(suffix_ids)
        if max_length <= around:
            raise ValueError(
                f"max_length is {max_length}, but the prompt's prefix and suffix alone take {around} tokens;"
                f" give at least {around + 1}."
            )
        self.room = max_length - around
        self._tokenizer = tokenizer
        self._prefix_ids = np.asarray(prefix_ids, np.int32)
        self._suffix_ids = np.asarray(suffix_ids, np.int32)

    def encode(self, pairs: Sequence[str]) -> Iterator[EncodedPrompt]:
        """Yield the whole prompt of every formatted pair, in order."""
        for start in range(0, len(pairs), _ENCODE_CHUNK):
            chunk = list(pairs[start : start + _ENCODE_CHUNK])
            for encoding in self._tokenizer.encode_batch_fast(chunk, add_special_tokens=True):
                own = np.asarray(encoding.ids[: self.room], np.int32)
                ids = np.concatenate([self._prefix_ids, own, self._suffix_ids])
                yield EncodedPrompt(ids, len(encoding) > self.room)


def prompt_tokenizer(
    bundle: Bundle, prefix: str, suffix: str, max_length: int, *, allow_special_tokens: bool = False
) -> PromptTokenizer:
    """The tokenizer of a bundle's prompts.

    Args:
        bundle: the opened bundle. Its manifest has the token ids of its own prefix and suffix.
        prefix: the text before every pair.
        suffix: the text after every pair.
        max_length: the most tokens of a prompt, prefix and suffix included.
        allow_special_tokens: True reads `<|im_end|>`, `<think>` and their like inside a pair as control tokens, as aatm
            does. By default they are text, so a document can't end the prompt and answer for the model.
    """
    own = bundle.manifest.prompt
    prefix_ids, suffix_ids = own.prefix_ids, own.suffix_ids
    if (prefix, suffix) != (own.prefix, own.suffix):
        with_control = read_tokenizer(bundle.tokenizer_path)
        prefix_ids, suffix_ids = (with_control.encode(text, add_special_tokens=False).ids for text in (prefix, suffix))
    tokenizer = read_tokenizer(bundle.tokenizer_path, control_tokens=allow_special_tokens)
    return PromptTokenizer(tokenizer, prefix_ids, suffix_ids, max_length)


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
