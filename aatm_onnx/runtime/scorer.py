"""One session that many threads share: calls that wait for it are run together, as if they were one."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock, RLock

import numpy as np
from numpy.typing import NDArray

from ..errors import ScoreError
from ..prompt import TokenIds
from .forks import guard
from .kv_cache import PrefixCache
from .plan import REMEMBERED_TOKENS
from .score_cache import ScoreCache
from .scoring import TOKEN_BUDGETS, prompt_logits
from .session import Session

# So many batches' tokens of waiting calls are run together. More would only make the first of them wait longer.
_BATCHES_TOGETHER = 32


@dataclass(eq=False)
class _Call:
    prompts: Sequence[TokenIds]
    tokens: int
    logits: NDArray[np.float32] | None = None
    failure: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.logits is not None or self.failure is not None


class Scorer:
    """Scores prompts on one session, from any number of threads.

    While one thread runs the session, the calls of others wait. The next thread that gets the session runs all that
    wait, in one plan: they share prefixes and fill batches as one call with all their pairs would.

    Attributes:
        session: the session.
        token_budget: the most tokens of a batch, padding included.
    """

    def __init__(
        self,
        session: Session,
        pad_token_id: int,
        token_budget: int | None = None,
        cached_tokens: int = REMEMBERED_TOKENS,
        cached_scores: int = 0,
    ) -> None:
        """Take a session.

        Args:
            session: an open session.
            pad_token_id: the id to pad with.
            token_budget: the most tokens of a batch; None takes the provider's.
            cached_tokens: how many tokens of shared prefixes to keep between calls.
            cached_scores: how many prompts' logits to keep for calls that ask for them again.
        """
        self.session = session
        self.token_budget = token_budget or TOKEN_BUDGETS[session.provider]
        self._pad_token_id = pad_token_id
        self._cache = PrefixCache(cached_tokens)
        self._known = ScoreCache(cached_scores)
        self._running = RLock()  # held by the thread that runs the session
        guard(session.runtime, self._running)
        self._lock = Lock()  # guards the list of calls
        self._waiting: list[_Call] = []

    def logits(self, prompts: Sequence[TokenIds]) -> NDArray[np.float32]:
        """The logits of "no" and "yes" of whole prompts, (prompts, 2); see `scoring.prompt_logits`."""
        return self._known.logits(prompts, self._scored)

    def _scored(self, prompts: Sequence[TokenIds]) -> NDArray[np.float32]:
        call = _Call(prompts, sum(map(len, prompts)))
        try:
            with self._lock:
                self._waiting.append(call)
            with self._running:
                while not call.done:
                    self._run(self._take(call))
        finally:  # an interrupted call is not for others to run
            with self._lock:
                self._waiting = [other for other in self._waiting if other is not call]
        if call.failure is not None:
            raise call.failure
        assert call.logits is not None
        return call.logits

    def _take(self, own: _Call) -> list[_Call]:
        """The calls that waited longest, as many as are worth running together.

        `own` alone, if it does not wait any more: the thread that took it was interrupted before it was run.
        """
        most = self.token_budget * _BATCHES_TOGETHER
        with self._lock:
            if own not in self._waiting:
                return [own]
            taken, tokens = 0, 0
            while taken < len(self._waiting) and (not taken or tokens + self._waiting[taken].tokens <= most):
                tokens += self._waiting[taken].tokens
                taken += 1
            calls, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return calls

    def _run(self, calls: list[_Call]) -> None:
        try:
            logits = self._logits([prompt for call in calls for prompt in call.prompts])
        except (ScoreError, MemoryError) as failure:  # an interrupt, or a timeout by a signal, is this thread's alone
            if len(calls) == 1:
                calls[0].failure = failure
                return
            for call in calls:  # so that what is wrong with one call fails no other
                self._run([call])
        else:
            ends = np.cumsum([len(call.prompts) for call in calls])
            for call, part in zip(calls, np.split(logits, ends[:-1]), strict=True):
                call.logits = part

    def _logits(self, prompts: Sequence[TokenIds]) -> NDArray[np.float32]:
        return prompt_logits(self.session, prompts, self._pad_token_id, self.token_budget, self._cache)
