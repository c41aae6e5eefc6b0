"""What prompts have in common: which prefixes are worth computing once, for all prompts that start with them.

Prompts are compared as token ids, because BPE may merge what the text keeps apart. Candidates of one query share
prompt, task and query, and all queries share prompt and task, so the prefixes form a tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..prompt import TokenIds

# What a run costs beyond its tokens, in tokens: it reads all weights. A node costs two runs, its own and its prompts'.
RUN_COST = 32
_PAIRS = 64  # that are compared at a time, as rows of one length


@dataclass(frozen=True)
class PrefixNode:
    """Tokens that several prompts share.

    Attributes:
        stop: where the shared tokens end, counted from the prompts' start; they begin where the parent's end.
        size: how many prompts start with them.
        prompts: indices of the prompts that share no further prefix.
        children: the prefixes that continue this one.
    """

    stop: int
    size: int
    prompts: list[int] = field(default_factory=list)
    children: list["PrefixNode"] = field(default_factory=list)

    def first_prompt(self) -> int:
        """Index of a prompt that starts with this prefix."""
        node = self
        while not node.prompts:
            node = node.children[0]
        return node.prompts[0]


def prefix_tree(
    prompts: Sequence[TokenIds], indices: Sequence[int], start: int = 0, run_cost: int = RUN_COST
) -> PrefixNode:
    """The tree of prefixes worth sharing; every prompt keeps at least its last token to itself.

    Args:
        prompts: token ids, each of shape (seq,). The tree does not depend on their order.
        indices: the prompts to look at.
        start: how many first tokens all of these share and have been run already.
        run_cost: a node costs two runs, so it must save more than twice as many tokens.

    Returns:
        The root, which ends at `start`.
    """
    # Big-endian bytes sort as the ids themselves do.
    order = sorted(indices, key=lambda index: prompts[index].astype(">i4").tobytes())
    but_last = [prompts[index][:-1] for index in order]
    shared = np.concatenate([[0], common_lengths(but_last[:-1], but_last[1:])])
    # (prompts,): tokens in common with the prompt before
    root = PrefixNode(start, len(order))
    pending = [(0, len(order), root)]  # ranges of `order`, each with the node that they are known to share
    while pending:
        first, end, node = pending.pop()
        if end - first < 2:
            node.prompts.extend(order[first:end])
            continue
        inner = shared[first + 1 : end]
        stop = int(inner.min())
        if (end - first - 1) * (stop - node.stop) > 2 * run_cost:
            node.children.append(PrefixNode(stop, end - first))
            node = node.children[-1]
        cuts = [first, *(np.flatnonzero(inner == stop) + first + 1).tolist(), end]
        pending += [(a, b, node) for a, b in pairwise(cuts)]
    return root


def common_length(first: TokenIds, second: TokenIds) -> int:
    """Length of the longest common prefix of two arrays."""
    return int(common_lengths([first], [second])[0])


def common_lengths(firsts: Sequence[TokenIds], seconds: Sequence[TokenIds]) -> NDArray[np.int64]:
    """Lengths of the longest common prefixes of pairs of arrays, (pairs,); token ids are not negative."""
    lengths = np.zeros(len(firsts), np.int64)
    for start in range(0, len(firsts), _PAIRS):
        pairs = slice(start, start + _PAIRS)
        width = 1 + max(min(len(a), len(b)) for a, b in zip(firsts[pairs], seconds[pairs], strict=True))
        differ = _matrix(firsts[pairs], width, -1) != _matrix(seconds[pairs], width, -2)  # (pairs, width)
        lengths[pairs] = differ.argmax(1)  # where the shorter one ends they differ
    return lengths


def _matrix(prompts: Sequence[TokenIds], width: int, filler: int) -> NDArray[np.int32]:
    """The first tokens of each, with this after its last, (prompts, width)."""
    rows = np.full((len(prompts), width), filler, np.int32)
    for row, prompt in zip(rows, prompts, strict=True):
        row[: len(prompt)] = prompt[:width]
    return rows
