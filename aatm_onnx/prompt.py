r"""The Qwen3 reranker prompt: a query and a document become the token ids that the model reads.

    ids(prefix) + ids("<Instruct>: {task}\n<Query>: {query}\n<Document>: {document}")[:room] + ids(suffix)

The three parts are tokenized separately, without further special tokens. The middle is cut on the right so that the
whole fits `max_length`: first the document, then query and task. Special tokens that a tokenizer puts around every text
(Qwen3's puts none) stand around what is left of the middle. So do Qwen3-Reranker's model card and
`aatm.rerankers.Qwen3Reranker` (aatm 0.1.7).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .errors import BundleError
from .first_tokens import divides_at_spaces, first_tokens, is_long, places_to_cut
from .tokenizer import read_tokenizer, special_tokens, token_ids

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
_ENCODE_CHARACTERS = 1 << 20

_DOCUMENT = "<Document>: "  # the space belongs to what follows

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
        self,
        tokenizer: "Tokenizer",
        prefix_ids: Sequence[int],
        suffix_ids: Sequence[int],
        max_length: int,
        vocab_size: int | None = None,
    ) -> None:
        """Take a tokenizer and the tokens around every pair.

        Args:
            tokenizer: reads the pairs.
            prefix_ids: token ids before every pair.
            suffix_ids: token ids after every pair.
            max_length: the most tokens of a prompt, prefix and suffix included.
            vocab_size: how many tokens the model knows; None does not check the tokenizer's.

        Raises:
            ValueError: `max_length` leaves no room for a pair.
            BundleError: the tokenizer puts tokens around every text that the model does not know.
        """
        self._vocab_size = vocab_size
        before, after = special_tokens(tokenizer)
        self._check_known([*before, *after], "every text")
        prefix_ids, suffix_ids = [*prefix_ids, *before], [*after, *suffix_ids]
        around = len(prefix_ids) + len(suffix_ids)
        if max_length <= around:
            raise ValueError(
                f"max_length is {max_length}, but the prompt's prefix and suffix alone take {around} tokens;"
                f" give at least {around + 1}."
            )
        self.room = max_length - around
        self._tokenizer = tokenizer
        self._places = places_to_cut(tokenizer)
        self._divides = self._places is not None and divides_at_spaces(tokenizer)
        self._prefix_ids = np.asarray(prefix_ids, np.int32)
        self._suffix_ids = np.asarray(suffix_ids, np.int32)

    def encode(self, pairs: Iterable[str], name: Callable[[int], str] = "Pair {}".format) -> Iterator[EncodedPrompt]:
        """Yield the whole prompt of every formatted pair, in order.

        Args:
            pairs: the formatted pairs, taken some at a time.
            name: what to call a pair in errors, by its index.

        Raises:
            ValueError: a pair can't be tokenized.
            BundleError: the tokenizer gives tokens that the model does not know.
        """
        numbers = count()
        for chunk in _chunks(pairs):
            places = [next(numbers) for _ in chunk]
            for index, ids in zip(places, self._ids(chunk, places, name), strict=True):
                self._check_known(ids, name(index))
                own = np.asarray(ids[: self.room], np.int32)
                yield EncodedPrompt(np.concatenate([self._prefix_ids, own, self._suffix_ids]), len(ids) > self.room)

    def fills_room(self, text: str) -> bool:
        """Whether a text alone takes all tokens that a pair may have, so that nothing after it is left."""
        return len(self._first_ids(text)) >= self.room

    def _check_known(self, ids: Sequence[int], what: str) -> None:
        if ids and self._vocab_size is not None and max(ids) >= self._vocab_size:
            raise BundleError(
                f"The tokenizer gives token {max(ids)} for {what}, and the model knows {self._vocab_size} tokens;"
                " export the bundle again."
            )

    def _ids(self, pairs: list[str], places: list[int], name: Callable[[int], str]) -> list[list[int]]:
        """The token ids of every pair, at most one more than there is room for where a long pair was cut."""
        long = {row for row, pair in enumerate(pairs) if self._places and is_long(pair, self.room + 1)}
        try:
            others = iter(self._whole_ids([pair for row, pair in enumerate(pairs) if row not in long]))
            return [self._first_ids(pair) if row in long else next(others) for row, pair in enumerate(pairs)]
        except ValueError as error:
            if len(pairs) > 1:  # which of them?
                return [ids for row in range(len(pairs)) for ids in self._ids([pairs[row]], [places[row]], name)]
            raise ValueError(f"{name(places[0])} can't be tokenized ({error}); shorten or drop it.") from error

    def _whole_ids(self, pairs: list[str]) -> list[list[int]]:
        """The token ids of every pair. What stands before the documents is tokenized once, where that is the same."""
        if not self._divides:
            return self._own_ids(pairs)
        parts = [_divide(pair) for pair in pairs]
        queries = list(dict.fromkeys(query for query, _ in parts))
        ids = self._own_ids([*queries, *(document for _, document in parts)])
        known = dict(zip(queries, ids, strict=False))  # the documents' ids follow
        return [known[query] + own for (query, _), own in zip(parts, ids[len(queries) :], strict=True)]

    def _first_ids(self, text: str) -> list[int]:
        """The token ids of a text, as far as there is room, and one more if there are more."""
        most = self.room + 1
        if self._places and is_long(text, most):
            return first_tokens(self._own_ids, self._places, text, most)[0]
        return self._own_ids([text])[0][:most]

    def _own_ids(self, texts: Sequence[str]) -> list[list[int]]:
        return token_ids(self._tokenizer, texts, add_special_tokens=False)


def _chunks(pairs: Iterable[str]) -> Iterator[list[str]]:
    """Pairs that are tokenized together."""
    chunk: list[str] = []
    characters = 0
    for pair in pairs:
        chunk.append(pair)
        characters += len(pair)
        if len(chunk) == _ENCODE_CHUNK or characters >= _ENCODE_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _divide(pair: str) -> tuple[str, str]:
    """Task and query of a formatted pair, and its document with the space before it; their tokens are the pair's."""
    query, marker, document = pair.rpartition(_DOCUMENT)
    return (query + marker[:-1], marker[-1:] + document) if marker else ("", pair)


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
        prefix_ids, suffix_ids = token_ids(with_control, [prefix, suffix], add_special_tokens=False)
    tokenizer = read_tokenizer(bundle.tokenizer_path, control_tokens=allow_special_tokens)
    return PromptTokenizer(tokenizer, prefix_ids, suffix_ids, max_length, bundle.manifest.config.vocab_size)


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
