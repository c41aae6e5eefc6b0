"""Prompts of token ids become scores: a plan is made, its steps are run, and results are put back in order."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..prompt import TokenIds, left_pad
from .forks import end_with_process
from .kv_cache import PrefixCache, PrefixKV
from .plan import REMEMBERED_TOKENS, Begin, Budgets, Extend, Free, Remember, Score, Step, plan
from .runs import Beside, Runs, complete
from .session import Session

# Tokens of one batch, padding included. Memory grows with it. A CPU is no faster past a few hundred; a GPU needs enough
# work for every kernel to outlast its launch (a thousand of them at 0.6B: 5 ms).
TOKEN_BUDGETS = {"cpu": 384, "cuda": 4096}
# A longer prompt, or prefix, is run in chunks: memory stays bounded, and each chunk meets the keys up to its own end,
# which skips half of what the causal mask would throw away. But every chunk copies the past, and more of them gain
# nothing.
_CHUNKS = {"cpu": 256, "cuda": 4096}
# From so many chunks on, a prompt's last run gives memory back. A passage of two or three would pay for that more in
# time, and in memory taken anew while another batch runs, than its chunks' blocks are worth.
_MANY_CHUNKS = 5


def score_prompts(
    session: Session, prompts: Sequence[TokenIds], pad_token_id: int, token_budget: int | None = None
) -> list[float]:
    """Probabilities of "yes" for whole prompts, in the order given; arguments as in `prompt_logits`."""
    scores: list[float] = probability_of_yes(prompt_logits(session, prompts, pad_token_id, token_budget)).tolist()
    return scores


def prompt_logits(
    session: Session,
    prompts: Sequence[TokenIds],
    pad_token_id: int,
    token_budget: int | None = None,
    cache: PrefixCache | None = None,
) -> NDArray[np.float32]:
    """Run whole prompts.

    The logits of a prompt depend on that prompt only, not on the others or their order (in float up to some 1e-6,
    where sums are added up in another order). What prompts share is computed once, if the session's graph can.

    Args:
        session: an open session.
        prompts: token ids of each prompt, each of shape (seq,).
        pad_token_id: the id to pad with; it is masked, so any id of the vocabulary does.
        token_budget: the most tokens in one batch, padding included; a longer prompt runs alone (in chunks, if the
            session's graph can). None takes the session's provider's.
        cache: prefixes of earlier calls, to begin with and to add to.

    Returns:
        The logits of "no" and "yes" of each prompt, in the order given, (prompts, 2), float32.
    """
    distinct, places = _distinct(prompts)  # equal prompts get equal scores, to the last bit, and are run once
    budget = token_budget or TOKEN_BUDGETS[session.provider]
    budgets = Budgets(budget, min(budget, _CHUNKS[session.provider]), session.workers, session.leads)
    cache = cache or PrefixCache(0)
    known = [] if session.prefix is None else [session.prefix, *cache.prefixes()]
    steps = plan(distinct, [prefix.ids for prefix in known], budgets)
    return _Execution(session, distinct, pad_token_id, known, cache).run(steps)[places]


def _distinct(prompts: Sequence[TokenIds]) -> tuple[list[TokenIds], NDArray[np.int64]]:
    """Every prompt once, and where each of the given ones is among these, (prompts,)."""
    known: dict[bytes, tuple[int, TokenIds]] = {}
    places = [known.setdefault(prompt.tobytes(), (len(known), prompt))[0] for prompt in prompts]
    return [prompt for _, prompt in known.values()], np.array(places, np.int64)


class _Execution:
    """One plan, while it is run."""

    def __init__(
        self,
        session: Session,
        prompts: Sequence[TokenIds],
        pad_token_id: int,
        known: Sequence[PrefixKV],
        cache: PrefixCache,
    ) -> None:
        self.session, self.prompts, self.pad_token_id, self.cache = session, prompts, pad_token_id, cache
        self.prefixes = dict(enumerate(known))
        self.logits = np.empty((len(prompts), 2), np.float32)

    def run(self, steps: Iterable[Step]) -> NDArray[np.float32]:
        """Run the steps in order: here, or batches that others follow beside this thread, by the session's own.

        The last batch then has all threads, as soon as none is run beside it. A step is taken when there is a thread
        for it: prefixes wait in memory for one batch, not for all.
        """
        runtime, beside = self.session.runtime, Beside(self.session.runtime, self.session.workers - 1)
        try:
            for step, is_last in _marking_the_last(steps):
                end_with_process()
                if not isinstance(step, Score):
                    self._make(step)
                elif not is_last and beside.has_room:
                    beside.add(self._score(step))
                else:
                    complete(runtime, self._score(step))
            while work := beside.take_back():
                complete(runtime, work)
        finally:  # whatever happened here: what runs beside needs the session, and writes its logits
            beside.wait()
        beside.raise_failure()
        return self.logits

    def _make(self, step: Begin | Extend | Remember | Free) -> None:
        prefixes = self.prefixes
        match step:
            case Begin(prefix, source, length):
                prefixes[prefix] = prefixes[source].first(length)
            case Extend(prefix, source, prompt, stop):
                prefixes[prefix] = self.session.extend(prefixes[source], self.prompts[prompt][:stop])
            case Remember(prefix):
                self._remember(prefixes[prefix])
            case Free(prefix):
                del prefixes[prefix]

    def _remember(self, prefix: PrefixKV) -> None:
        """Keep a prefix's first tokens for later calls, as many as there is room for."""
        if length := min(len(prefix.ids), REMEMBERED_TOKENS, self.cache.max_tokens):
            self.cache.add(prefix.first(length))

    def _score(self, step: Score) -> Runs[None]:
        """The work of a batch; its prefix is there already, and may be freed before the work begins."""
        return self._score_after(step, None if step.prefix is None else self.prefixes[step.prefix])

    def _score_after(self, step: Score, prefix: PrefixKV | None) -> Runs[None]:
        if step.lead:
            assert prefix is not None
            yield from self._score_led(step, prefix)
            return
        session = self.session.giving_back() if len(step.chunks) + 1 >= _MANY_CHUNKS else self.session
        for number, stop in enumerate(step.chunks):
            assert prefix is not None  # only prompts after a prefix are cut
            # The first one's memory may be others' too.
            ids = self.prompts[step.prompts[0]][:stop]
            prefix = yield from self.session.extend_runs(prefix, ids, consume=number > 0)
        start = 0 if prefix is None else len(prefix.ids)
        rows = list(step.prompts)
        batch = left_pad([self.prompts[index][start:] for index in rows], self.pad_token_id)  # (batch, seq) each
        self.logits[rows] = yield from session.logits_runs(*batch, prefix)

    def _score_led(self, step: Score, prefix: PrefixKV) -> Runs[None]:
        """The work of a batch whose first row is what its prompts share beyond the prefix."""
        rows = list(step.prompts)
        lead = self.prompts[rows[0]][: step.lead]
        own = [lead[len(prefix.ids) :], *(self.prompts[index][step.lead :] for index in rows)]
        batch = left_pad(own, self.pad_token_id)  # (1 + rows, seq) each
        self.logits[rows], keys_values = yield from self.session.led_runs(*batch, prefix)
        if step.remembers:
            self._remember(prefix.followed_by(lead, keys_values))


def _marking_the_last(steps: Iterable[Step]) -> Iterator[tuple[Step, bool]]:
    """Each step, and whether it is the last one that runs something."""
    held: list[Step] = []  # a step that runs, and those after it that don't
    for step in steps:
        if isinstance(step, Extend | Score):
            yield from ((each, False) for each in held)
            held = []
        held.append(step)
    yield from ((each, True) for each in held)


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
