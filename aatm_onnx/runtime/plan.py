"""What to run, in which order, so that every prompt is scored and what prompts share is computed once.

A plan is a list of steps over numbered prefixes. It is pure: token ids and budgets in, steps out, nothing is run.

    Begin    prefix 5 is the first 40 tokens of prefix 0
    Extend   prefix 6 is prefix 5 and the tokens of prompt 3 up to the 75th
    Remember keep prefix 6 for later calls
    Score    run prompts 3, 1 and 8 after prefix 6, as one left-padded batch; tokens that they share beyond it may lead
             them as a row of their own
    Free     nothing needs prefix 6 any more
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..prompt import TokenIds
from .batches import LEAST_TOKENS, chunk_ends, cut_batches, even_budget, least_budget
from .prefix_tree import RUN_COST, PrefixNode, common_length, common_lengths, prefix_tree

# How much of a prefix is worth keeping: prompt, task and a query, 29 MB in float32 for 128 tokens of 0.6B.
REMEMBERED_TOKENS = 128


@dataclass(frozen=True)
class Budgets:
    """What a plan must keep to.

    Attributes:
        tokens: the most tokens of one batch, padding included. Only a single prompt's tokens may be more, where no
            prefix can be shared and it can't be cut into chunks.
        chunk: the most tokens of a prefix, or of a lone prompt, that are run at a time.
        workers: how many batches run side by side.
        leads: whether the rows of a batch can come after its first one.
    """

    tokens: int
    chunk: int
    workers: int = 1
    leads: bool = False


@dataclass(frozen=True)
class Begin:
    """`prefix` is the first `length` tokens of the prefix `source`."""

    prefix: int
    source: int
    length: int


@dataclass(frozen=True)
class Extend:
    """`prefix` is `source` followed by the tokens of `prompt` from where `source` ends to `stop`."""

    prefix: int
    source: int
    prompt: int
    stop: int


@dataclass(frozen=True)
class Remember:
    """`prefix` is worth keeping for later calls."""

    prefix: int


@dataclass(frozen=True)
class Score:
    """Score `prompts` as one batch, whose rows all begin with `prefix` (None: nothing is shared).

    Attributes:
        prefix: the shared prefix.
        prompts: indices.
        chunks: for a single long prompt, where its tokens are cut: each part but the last extends the prefix.
        lead: up to where tokens that all prompts share beyond the prefix are a row before theirs; 0 if there are none.
        remembers: whether the prefix that ends there is worth keeping for later calls.
    """

    prefix: int | None
    prompts: tuple[int, ...]
    chunks: tuple[int, ...] = ()
    lead: int = 0
    remembers: bool = False


@dataclass(frozen=True)
class Free:
    """No later step needs `prefix`."""

    prefix: int


Step = Begin | Extend | Remember | Score | Free


def plan(prompts: Sequence[TokenIds], known: Sequence[TokenIds], budgets: Budgets) -> list[Step]:
    """Plan the runs that score every prompt once.

    Args:
        prompts: token ids of each, (seq,), all different.
        known: the prefixes whose keys and values exist already; these are prefixes 0, 1, ... of the plan. The first is
            the bundle's own (it may be empty). Its tokens are never taken from elsewhere, because its keys and values
            are more exact than a quantized graph's: otherwise a score would show what was run before. Without any,
            nothing is shared.
        budgets: limits of each run.
    """
    if not known:
        return list(_batches(prompts, range(len(prompts)), None, 0, budgets, budgets.workers))
    return list(_Planner(prompts, list(known), budgets).steps())


@dataclass
class _Planner:
    """Walks the prefix tree depth first, one prefix after the other, and counts who still needs each."""

    prompts: Sequence[TokenIds]
    known: list[TokenIds]
    budgets: Budgets
    lengths: list[int] = field(init=False)  # of every prefix, by its number
    remembered: tuple[int, TokenIds] | None = None  # the prefix that this plan remembered last
    waiting: dict[int, int] = field(default_factory=dict)  # how many pending nodes continue a prefix

    def __post_init__(self) -> None:
        self.lengths = [len(ids) for ids in self.known]

    def steps(self) -> Iterator[Step]:
        # Each prompt takes all of the bundle's prefix that it agrees with, whatever it shares with other prompts.
        but_last = [prompt[:-1] for prompt in self.prompts]
        own_start = common_lengths([self.known[0]] * len(but_last), but_last)
        pending: list[tuple[PrefixNode, int | None]] = [
            (prefix_tree(self.prompts, np.flatnonzero(own_start == start).tolist(), start), None)
            for start in sorted(set(own_start.tolist()))  # np.unique would import numpy.ma: 20 ms
        ]
        while pending:
            node, parent = pending.pop()
            first = node.first_prompt()
            if node.stop > own_start[first]:
                begun = parent is None
                source = (yield from self._begin(self.prompts[first][: node.stop])) if parent is None else parent
                if batches := self._led(node, source, 1 if pending else self.budgets.workers):
                    for number, batch in enumerate(batches):
                        yield Score(source, batch, lead=node.stop, remembers=begun and not number)
                    yield from [Free(source)] if begun else self._left(parent)
                    continue
                prefix = yield from self._prefix_of(first, node.stop, source, begun)
                continued: int | None = prefix
            else:
                prefix, continued = self._next(node.stop), None
                yield Begin(prefix, 0, node.stop)  # a root that adds nothing; its children begin for themselves
            yield from self._left(parent)
            # The largest comes last, when no other node waits for this one's prefix. So no more prefixes are in memory
            # at a time than the prompts can be halved.
            pending += [
                (child, continued) for child in sorted(node.children, key=lambda child: child.size, reverse=True)
            ]
            # The other workers take the next groups. Where none follow, this one is shared out among them.
            workers = 1 if pending else self.budgets.workers
            yield from _batches(self.prompts, node.prompts, prefix, node.stop, self.budgets, workers)
            if continued is not None and node.children:
                self.waiting[continued] = len(node.children)
            else:
                yield Free(prefix)
        if self.remembered:
            yield Free(self.remembered[0])

    def _left(self, prefix: int | None) -> Iterator[Step]:
        """One pending node fewer continues a prefix."""
        if prefix is not None:
            self.waiting[prefix] -= 1
            if not self.waiting[prefix]:
                yield Free(prefix)

    def _led(self, node: PrefixNode, source: int, workers: int) -> list[tuple[int, ...]]:
        """The batches that a node's tokens after `source` best lead as a row; none if they are best run by themselves.

        That saves a run. But rows are padded to the longest, and every worker's batch has this row again.
        """
        own = node.stop - self.lengths[source]
        if not self.budgets.leads or node.children or not own:
            return []
        lengths = [len(self.prompts[index]) - node.stop for index in node.prompts]
        parts = min(workers, max(1, sum(lengths) // LEAST_TOKENS))
        batches = list(cut_batches(lengths, least_budget(lengths, parts, own), own))
        sizes = [(1 + len(batch)) * max(own, *(lengths[row] for row in batch)) for batch in batches]
        without = cut_batches(lengths, even_budget(lengths, self.budgets.tokens, workers))
        apart = own + RUN_COST + sum(len(batch) * max(lengths[row] for row in batch) for batch in without)
        if max(sizes) > self.budgets.tokens or sum(sizes) > apart:
            return []
        return [tuple(node.prompts[row] for row in batch) for batch in batches]

    def _prefix_of(self, prompt: int, stop: int, parent: int, begun: bool) -> Generator[Step, None, int]:
        """The steps that make a prefix of a prompt's first `stop` tokens, which begin with `parent`; its number.

        A parent that was begun for this alone is freed, and what first continues it is worth remembering.
        """
        ids = self.prompts[prompt][:stop]
        if self.lengths[parent] == stop:
            yield from self._remember(parent, ids)
            return parent
        ends = chunk_ends(self.lengths[parent], stop, self.budgets.chunk)
        source = parent
        for end in ends:
            prefix = self._next(end)
            yield Extend(prefix, source, prompt, end)
            if source != parent or begun:
                yield Free(source)
            if begun and source == parent:
                yield from self._remember(prefix, ids[:end])
            source = prefix
        return source

    def _begin(self, ids: TokenIds) -> Generator[Step, None, int]:
        """Begin with what agrees longest: the bundle's prefix, one known from before, or the last remembered one."""
        candidates = [*enumerate(self.known), *([self.remembered] if self.remembered else [])]
        source, agreed = max(
            ((number, common_length(tokens, ids)) for number, tokens in candidates), key=lambda found: found[1]
        )
        prefix = self._next(agreed)
        yield Begin(prefix, source, agreed)
        return prefix

    def _remember(self, prefix: int, ids: TokenIds) -> Iterator[Step]:
        length = min(len(ids), REMEMBERED_TOKENS)
        kept = self._next(length)
        yield Begin(kept, prefix, length)
        yield Remember(kept)
        if self.remembered:
            yield Free(self.remembered[0])
        self.remembered = kept, ids[:length]

    def _next(self, length: int) -> int:
        self.lengths.append(length)
        return len(self.lengths) - 1


def _batches(
    prompts: Sequence[TokenIds], indices: Sequence[int], prefix: int | None, start: int, budgets: Budgets, workers: int
) -> Iterator[Score]:
    """Score the prompts `indices`, which share their first `start` tokens."""
    lengths = [len(prompts[index]) - start for index in indices]
    for batch in cut_batches(lengths, even_budget(lengths, budgets.tokens, workers)):
        rows = tuple(indices[row] for row in batch)
        alone = prefix is not None and len(rows) == 1
        chunks = chunk_ends(start, len(prompts[rows[0]]), budgets.chunk)[:-1] if alone else []
        yield Score(prefix, rows, tuple(chunks))
