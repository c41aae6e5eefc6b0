"""Which requests are let in: counted in the same step that checks, for whole requests, before any work is done."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import bad_request, overloaded, shutting_down, too_large, unavailable
from .jobs import Group, Lane, slice_tokens
from .settings import Limits

State = Literal["loading", "ready", "draining"]


@dataclass
class Admission:
    """What is admitted and not answered. Only the event loop's thread uses it.

    Attributes:
        limits: what may wait.
        state: only "ready" lets requests in.
        pairs: their pairs.
        tokens: their estimated tokens.
        streams: how many batch streams are open.
        requests: how many requests are inside, and lines of streams.
        ahead: how many of the pairs are of streams, which bound by themselves what they read ahead.
    """

    limits: Limits
    state: State = "loading"
    pairs: int = 0
    tokens: int = 0
    streams: int = 0
    requests: int = 0
    ahead: int = 0
    # Estimated tokens: how many requests to a model have so many, and how many a stream has to one.
    _sizes: Counter[tuple[str, int]] = field(default_factory=Counter)
    _streams: Counter[tuple[str, Lane]] = field(default_factory=Counter)

    def check_state(self) -> None:
        """Refuse while loading or draining."""
        if self.state == "loading":
            raise unavailable("The model is loading; try again soon.")
        if self.state == "draining":
            raise shutting_down()

    def check_size(self, groups: Sequence[Group]) -> None:
        """Refuse what is too large for this server at any time, or empty."""
        pairs = sum(len(group.documents) for group in groups)
        if not pairs:
            raise bad_request("The list of documents must not be empty.")
        if pairs > self.limits.documents:
            raise too_large(
                f"The request has {pairs} documents; this server takes {self.limits.documents} at once."
                " Send them in several requests, or as a stream to /v1/rerank/batch."
            )
        characters = sum(len(group.query) + sum(map(len, group.documents)) for group in groups)
        characters += len(groups[0].task or "")  # a request has one
        if characters > self.limits.characters:
            raise too_large(
                f"The request's texts have {characters} characters; this server takes {self.limits.characters} at once."
            )

    def check_room(self, pairs: int, tokens: int, rates: Mapping[str, float]) -> None:
        """Refuse what would wait too long, or for which there is no room.

        Args:
            pairs: its pairs.
            tokens: their estimated tokens.
            rates: the models that may answer, with their estimated tokens a second; 0 if not known yet.

        Raises:
            ApiError: 429 with `Retry-After`.
        """
        pairs += self.pairs - self.ahead
        tokens_inside = self.tokens - sum(self._streams.values())
        full = pairs > self.limits.queued_pairs or tokens_inside + tokens > self.limits.queued_tokens
        wait = min((self._wait(tokens, model, rate) for model, rate in rates.items()), default=0.0)
        rate = max(rates.values(), default=0.0)
        if self.requests and (full or wait > self.limits.wait_seconds):
            raise overloaded(
                f"The server is full: {self.pairs} pairs wait, and this request would for {wait:.0f} s. Try later.",
                retry_after(self.tokens / rate if full and rate else wait - self.limits.wait_seconds),
            )

    @contextmanager
    def request(self, groups: Sequence[Group], model: str, rate: float) -> Iterator[None]:
        """Let a request in while the block runs.

        Args:
            groups: its queries and documents.
            model: what will score it.
            rate: estimated tokens a second, as measured; 0 if not known yet.

        Raises:
            ApiError: 429 with `Retry-After`, 503, or what `check_size` raises.
        """
        self.check_state()
        self.check_size(groups)
        self.check_room(*_size(groups), {model: rate})
        with self.counted(groups, model):
            yield

    def _wait(self, tokens: int, model: str, rate: float) -> float:
        """Seconds until a request's last slice would run.

        Requests and streams to one model take turns, so larger ones count as large as it.
        """
        turns = max(tokens, slice_tokens(rate))
        work = sum(count * min(size, turns) for (name, size), count in self._sizes.items() if name == model)
        work += sum(min(size, turns) for (name, _), size in self._streams.items() if name == model)
        return work / rate if rate else 0.0

    @contextmanager
    def counted(self, groups: Sequence[Group], model: str, stream: Lane | None = None) -> Iterator[None]:
        """Count work while the block runs, without a check; `stream`: of a stream that was let in, a line."""
        pairs, tokens = _size(groups)
        holders: Counter[Any] = self._sizes if stream is None else self._streams
        holder, count = ((model, tokens), 1) if stream is None else ((model, stream), tokens)
        ahead = 0 if stream is None else pairs
        holders[holder] += count
        self.ahead += ahead
        self.requests, self.pairs, self.tokens = self.requests + 1, self.pairs + pairs, self.tokens + tokens
        try:
            yield
        finally:
            holders[holder] -= count
            if not holders[holder]:
                del holders[holder]
            self.ahead -= ahead
            self.requests, self.pairs, self.tokens = self.requests - 1, self.pairs - pairs, self.tokens - tokens

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Let a batch stream in while the block runs."""
        self.check_state()
        if self.streams >= self.limits.streams:
            raise overloaded(f"{self.streams} batch streams are open, and this server takes no more. Try later.", 10)
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1


def _size(groups: Sequence[Group]) -> tuple[int, int]:
    pairs = sum(len(group.documents) for group in groups)
    return pairs, sum(group.cost for group in groups)


def retry_after(seconds: float) -> int:
    """Whole seconds for `Retry-After`; cohere's client waits at most 60."""
    return min(60, max(1, math.ceil(seconds)))
