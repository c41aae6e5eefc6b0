"""How many rows make a batch, and where a long prompt is cut: token counts in, budgets, rows and ends out."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

# A batch is not made smaller than this to have one for every worker: each batch reads all weights.
LEAST_TOKENS = 64


def even_budget(lengths: Sequence[int], most: int, workers: int) -> int:
    """What to cut batches by, at most `most`, so that each worker gets as many batches of about one size.

    Three batches of 384 tokens keep two workers busy for two rounds, and one of them idle in the second. Four batches
    of 288 tokens take two rounds too, which are shorter.
    """
    batches = sum(1 for _ in cut_batches(lengths, most))
    return min(most, max(LEAST_TOKENS, least_budget(lengths, ceil_div(batches, workers) * workers)))


def least_budget(lengths: Sequence[int], batches: int, lead: int = 0) -> int:
    """The least budget by which `cut_batches` makes at most so many batches: then the largest of them is smallest.

    Args:
        lengths: tokens of each prompt.
        batches: how many.
        lead: tokens of a row that each batch has besides.
    """
    descending = sorted(lengths, reverse=True)
    enough = (len(lengths) + 1) * max(lead, *lengths, 1)
    return bisect_left(range(enough), -batches, key=lambda budget: -sum(1 for _ in _ends(descending, budget, lead)))


def cut_batches(lengths: Sequence[int], token_budget: int, lead: int = 0) -> Iterator[list[int]]:
    """Cut indices into batches of similar lengths, longest first, so that a lack of memory shows at once.

    Args:
        lengths: tokens of each prompt.
        token_budget: rows times the longest row stay within it, unless one row alone does not.
        lead: tokens of a row that each batch has besides; 0 if there is none.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    for end in _ends([lengths[index] for index in order], token_budget, lead):
        yield order[start:end]
        start = end


def _ends(descending: Sequence[int], budget: int, lead: int) -> Iterator[int]:
    """Where each batch of rows of these lengths ends; it has one row at least."""
    end = 0
    while end < len(descending):
        end += max(1, budget // max(1, lead, descending[end]) - bool(lead))
        yield end


def chunk_ends(start: int, stop: int, most: int) -> list[int]:
    """Where the tokens from `start` to `stop` are cut into equal chunks of at most `most`; the last end is `stop`."""
    chunks = ceil_div(stop - start, most)
    length = ceil_div(stop - start, chunks)
    return [*range(start + length, stop, length), stop]


def ceil_div(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)
