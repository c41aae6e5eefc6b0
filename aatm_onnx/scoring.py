"""Prompts of token ids become scores: batches cut by a token budget, sorted by length, run, and put back in order."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .prompt import TokenIds, left_pad
from .session import Session

# Tokens of one batch, padding included. Memory grows with it and speed does not, past a few hundred tokens.
DEFAULT_TOKEN_BUDGET = 4096


def score_prompts(
    session: Session, prompts: Sequence[TokenIds], pad_token_id: int, token_budget: int = DEFAULT_TOKEN_BUDGET
) -> list[float]:
    """Score whole prompts.

    A score depends on its own prompt only: not on the others, nor on their order.

    Args:
        session: an open session.
        prompts: token ids of each prompt, each of shape (seq,).
        pad_token_id: the id to pad with; it is masked, so any id of the vocabulary does.
        token_budget: the most tokens in one batch, padding included; a longer prompt runs alone.

    Returns:
        The probability of "yes" for each prompt, in the order given.
    """
    scores = np.empty(len(prompts), np.float64)
    for batch in cut_batches([len(prompt) for prompt in prompts], token_budget):
        input_ids, attention_mask = left_pad([prompts[index] for index in batch], pad_token_id)
        scores[batch] = probability_of_yes(session.logits(input_ids, attention_mask))
    result: list[float] = scores.tolist()
    return result


def probability_of_yes(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax over (no, yes), the second part.

    Args:
        logits: shape (batch, 2), in the order no, yes.

    Returns:
        Shape (batch,).
    """
    no, yes = logits.astype(np.float64).T
    # Never exponentiates a positive number, so it can't overflow.
    small = np.exp(-np.abs(yes - no))
    result: NDArray[np.float64] = np.where(yes >= no, 1.0, small) / (1.0 + small)
    return result  # (batch,)


def cut_batches(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Cut indices into batches of similar lengths, longest first, so that a lack of memory shows at once.

    Args:
        lengths: tokens of each prompt.
        token_budget: rows times the longest row stay within it, unless one row alone does not.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        rows = max(1, token_budget // max(1, lengths[order[start]]))
        yield order[start : start + rows]
        start += rows
