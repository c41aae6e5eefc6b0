"""What prompts have in common: which beginnings are worth computing once, for all prompts that start with them.

Prompts are looked at as token ids, for BPE may merge what the text keeps apart. Candidates of one query share prompt,
task and query, and all queries share prompt and task, so the plan is a tree: a part's tokens follow its parent's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .prompt import TokenIds

# What a run costs beyond its tokens, in tokens: it reads all weights. A part costs two runs, its own and its prompts'.
RUN_COST = 32


@dataclass(frozen=True)
class SharedPart:
    """Tokens that several prompts share.

    stop: where the part ends, counted from the prompts' start; it begins where its parent ends.
    size: how many prompts start with it.
    prompts: indices of prompts of which no further part is shared.
    parts: parts that follow this one.
    """

    stop: int
    size: int
    prompts: list[int] = field(default_factory=list)
    parts: list["SharedPart"] = field(default_factory=list)

    def first_prompt(self) -> int:
        """Index of a prompt that starts with this part."""
        part = self
        while not part.prompts:
            part = part.parts[0]
        return part.prompts[0]


def plan_sharing(
    prompts: Sequence[TokenIds], indices: Sequence[int], head: int = 0, run_cost: int = RUN_COST
) -> SharedPart:
    """The tree of parts worth sharing; every prompt keeps at least its last token to itself.

    Args:
        prompts: token ids, each of shape (seq,). The plan does not depend on their order.
        indices: the prompts to plan for.
        head: how many first tokens all of these share and have been run already.
        run_cost: a part is worth two runs, so it must save more than twice as many tokens.

    Returns:
        The root, which ends at `head`.
    """
    # Big-endian bytes sort as the ids themselves do.
    order = sorted(indices, key=lambda index: prompts[index].astype(">i4").tobytes())
    shared = np.array([0] + [_common_length(prompts[a], prompts[b]) for a, b in pairwise(order)], np.int64)
    # (prompts,): tokens in common with the prompt before
    root = SharedPart(head, len(order))
    pending = [(0, len(order), root)]  # ranges of `order`, each with the part that they are known to share
    while pending:
        start, end, part = pending.pop()
        if end - start < 2:
            part.prompts.extend(order[start:end])
            continue
        inner = shared[start + 1 : end]
        stop = int(inner.min())
        if (end - start - 1) * (stop - part.stop) > 2 * run_cost:
            part.parts.append(SharedPart(stop, end - start))
            part = part.parts[-1]
        cuts = [start, *(np.flatnonzero(inner == stop) + start + 1).tolist(), end]
        pending += [(a, b, part) for a, b in pairwise(cuts)]
    return root


def _common_length(first: TokenIds, second: TokenIds) -> int:
    """How many tokens two prompts have in common at the start, at most all but one of either."""
    return common_length(first[:-1], second[:-1])


def common_length(first: TokenIds, second: TokenIds) -> int:
    """Length of the longest common prefix of two arrays."""
    length = min(len(first), len(second))
    differing: NDArray[np.intp] = np.flatnonzero(first[:length] != second[:length])
    return int(differing[0]) if len(differing) else length
