"""Prompts of token ids become scores: batches cut by a token budget, sorted by length, run, and put back in order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np
from numpy.typing import NDArray

from .past import Past
from .prompt import TokenIds, left_pad
from .session import Session
from .sharing import SharedPart, common_length, plan_sharing

# Tokens of one batch, padding included. Memory grows with it. A CPU is no faster past a few hundred; a GPU needs enough
# work for every kernel to outlast its launch (a thousand of them at 0.6B: 5 ms).
TOKEN_BUDGETS = {"cpu": 384, "cuda": 4096}
# A longer prompt, or beginning of prompts, is run in pieces: memory stays bounded, and each piece meets the keys up to
# its own end, and so skips half of what the causal mask would throw away. But every piece copies the past, so more of
# them gain nothing.
_PIECE = {"cpu": 256, "cuda": 4096}
# A batch is not made smaller than this to have one for every thread: each reads all weights.
_LEAST_TOKENS = 64

Batch = tuple[list[int], Past | None]  # indices of prompts, and what stands before the rest of each of them


def score_prompts(
    session: Session, prompts: Sequence[TokenIds], pad_token_id: int, token_budget: int | None = None
) -> list[float]:
    """Score whole prompts.

    A score depends on its own prompt only: not on the others, nor on their order (in float but for some 1e-6, where
    sums are added up in another order). What prompts share is computed once, if the session's graph can.

    Args:
        session: an open session.
        prompts: token ids of each prompt, each of shape (seq,).
        pad_token_id: the id to pad with; it is masked, so any id of the vocabulary does.
        token_budget: the most tokens in one batch, padding included; a longer prompt runs alone (in pieces, if the
            session's graph can). None takes the session's provider's.

    Returns:
        The probability of "yes" for each prompt, in the order given.
    """
    prompts, places = _distinct(prompts)  # equal prompts get equal scores, to the last bit, and are run once
    budget = token_budget or TOKEN_BUDGETS[session.provider]
    piece = min(budget, _PIECE[session.provider])
    scores = np.empty(len(prompts), np.float64)

    def score(rows: list[int], past: Past | None) -> None:
        if past is not None and len(rows) == 1:
            prompt = prompts[rows[0]]
            for stop in _piece_ends(len(past.ids), len(prompt), piece)[:-1]:
                past = session.past_of(prompt[:stop], past)
        start = 0 if past is None else len(past.ids)
        input_ids, attention_mask = left_pad([prompts[index][start:] for index in rows], pad_token_id)
        scores[rows] = probability_of_yes(session.logits(input_ids, attention_mask, past))

    _run_beside_each_other(score, _batches(session, prompts, budget, piece), session.at_once)
    result: list[float] = scores[places].tolist()
    return result


def _distinct(prompts: Sequence[TokenIds]) -> tuple[list[TokenIds], NDArray[np.int64]]:
    """Every prompt once, and where each of the given ones is among these, (prompts,)."""
    first: dict[bytes, int] = {}
    places = np.array([first.setdefault(prompt.tobytes(), len(first)) for prompt in prompts], np.int64)
    return [prompts[index] for index in np.unique(places, return_index=True)[1]], places


def _batches(session: Session, prompts: Sequence[TokenIds], token_budget: int, piece: int) -> Iterator[Batch]:
    """Every prompt's index once; the prompts of a batch share a past."""
    for indices, past, more_follow in _groups(session, prompts, piece):
        start = 0 if past is None else len(past.ids)
        lengths = [len(prompts[index]) - start for index in indices]
        # The other threads take the next groups; where none follow, this one is shared out among them.
        at_once = 1 if more_follow else session.at_once
        for batch in cut_batches(lengths, _even_budget(lengths, token_budget, at_once)):
            yield [indices[row] for row in batch], past


def _even_budget(lengths: Sequence[int], token_budget: int, at_once: int) -> int:
    """What to cut batches by, within `token_budget`, so that each of `at_once` threads gets as many, of one size."""
    longest = max(lengths, default=1)
    rounds = max(1, -(-len(lengths) // (max(1, token_budget // longest) * at_once)))
    rows = -(-len(lengths) // (rounds * at_once))
    return min(token_budget, max(rows * longest, _LEAST_TOKENS))


def _run_beside_each_other(
    run: Callable[[list[int], Past | None], None], batches: Iterable[Batch], at_once: int
) -> None:
    """Run batches on `at_once` threads.

    The next one is asked for when a thread is free, for its past may still have to be run, and takes memory too.
    """
    if at_once == 1:
        for batch in batches:
            run(*batch)
        return
    with ThreadPoolExecutor(at_once) as threads:
        running: set[Future[None]] = set()
        for batch in batches:
            running.add(threads.submit(run, *batch))
            if len(running) == at_once:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                _raise_failures(ended)
        _raise_failures(running)


def _raise_failures(runs: Iterable[Future[None]]) -> None:
    for each in runs:
        each.result()


def _groups(session: Session, prompts: Sequence[TokenIds], piece: int) -> Iterator[tuple[list[int], Past | None, bool]]:
    """Every prompt's index once, in groups that share a past, run in pieces, and whether more groups follow."""
    if session.head is None:
        yield list(range(len(prompts))), None, False
        return
    # Each prompt takes of the bundle's head all that it agrees with, whatever it shares with the others.
    from_head = np.array([common_length(session.head.ids, prompt[:-1]) for prompt in prompts], np.int64)  # (prompts,)
    pending: list[tuple[SharedPart, Past | None]] = [
        (plan_sharing(prompts, np.flatnonzero(from_head == start).tolist(), int(start)), None)
        for start in np.unique(from_head)
    ]
    while pending:
        part, before = pending.pop()
        first = part.first_prompt()
        if part.stop > from_head[first]:
            start = int(from_head[first]) if before is None else len(before.ids)
            for stop in _piece_ends(start, part.stop, piece):
                before = session.past_of(prompts[first][:stop], before)
            past = before
        else:
            past = session.head.first(part.stop)
        # The largest comes last, when no other part waits for this one's past: so no more of these are in memory at a
        # time than the prompts can be halved.
        pending += [(inner, before) for inner in sorted(part.parts, key=lambda inner: inner.size, reverse=True)]
        yield part.prompts, past, bool(pending)


def _piece_ends(start: int, stop: int, most: int) -> list[int]:
    """Where the tokens from `start` to `stop` are cut into equal pieces of at most `most`; the last end is `stop`."""
    pieces = -(-(stop - start) // most)
    length = -(-(stop - start) // pieces)
    return [*range(start + length, stop, length), stop]


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
