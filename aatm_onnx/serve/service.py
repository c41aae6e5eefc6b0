"""What handlers share: models, admission, and one way to have pairs scored for a client that may go away."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from starlette.requests import Request

from ..ranking import PairScore
from .admission import Admission
from .answers import Bodies
from .errors import ClientGone, overloaded, shutting_down
from .jobs import LEAST_WORK, Group, Job, Lane
from .metrics import Metrics
from .models import Model, Models
from .settings import Settings

_MOST_CONNECTIONS = 900  # most systems let a process have 1,024 files and connections


@dataclass(frozen=True)
class Scored:
    """Scores and what they took.

    Attributes:
        groups: what was scored.
        scores: one list for each group.
        queue_seconds: until the first slice was taken.
        scoring_seconds: from there until all had scores.
    """

    groups: Sequence[Group]
    scores: list[list[PairScore]]
    queue_seconds: float
    scoring_seconds: float

    @property
    def tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(pair.tokens for pairs in self.scores for pair in pairs)

    @property
    def truncated(self) -> int:
        """How many pairs were cut."""
        return sum(pair.truncated for pairs in self.scores for pair in pairs)

    @property
    def characters(self) -> int:
        """Characters of all documents."""
        return sum(len(document) for group in self.groups for document in group.documents)

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return sum(map(len, self.scores))


@dataclass
class Service:
    """A running server's state.

    Attributes:
        settings: limits, keys, origins.
        metrics: what it counts.
        models: what it answers with.
        connections: says how many are open, where that is known.
    """

    settings: Settings
    metrics: Metrics = field(default_factory=Metrics)
    models: Models = field(default_factory=Models)
    connections: Callable[[], int] = lambda: 0

    def __post_init__(self) -> None:
        """Count what is admitted, where metrics can see it."""
        self.bodies = Bodies(self.settings.limits)
        self.admission = admission = Admission(self.settings.limits)
        gauge = self.metrics.gauge
        gauge("aatm_queue_requests", "Requests admitted and not answered", lambda: admission.requests)
        gauge("aatm_queue_pairs", "Their pairs", lambda: admission.pairs)
        gauge("aatm_queue_tokens", "Their estimated tokens", lambda: admission.tokens)
        gauge("aatm_ready", "1 while requests are let in", lambda: admission.state == "ready")
        gauge(
            "aatm_tokens_per_second",
            "Estimated tokens a second, as measured, of all models",
            lambda: sum(model.queue.rate for model in self.models),
        )

    def check_room(self) -> None:
        """Refuse a request that was not read yet, if every model would refuse even the smallest one."""
        self.admission.check_state()
        self.admission.check_room(1, LEAST_WORK, {model.name: model.queue.rate for model in self.models})

    def check_connections(self) -> None:
        """Refuse a request on a connection too many."""
        if (count := self.connections()) > _MOST_CONNECTIONS:
            error = overloaded(f"The server is full: {count} connections are open. Try later.", 5)
            error.headers["connection"] = "close"
            raise error

    def give_up(self) -> None:
        """Answer 503 to all that is left, whether it waits for scores or still sends."""
        self.models.give_up(shutting_down())
        self.bodies.give_up()

    async def score(self, request: Request, model: Model, groups: Sequence[Group], truncate: bool) -> Scored:
        """Admit a request and score it.

        Raises:
            ApiError: it was not admitted.
            ClientGone: the client went away; what had not been run is dropped.
            TimeoutError: it took longer than `answer_seconds`; the rest is dropped.
            Exception: what the reranker raised.
        """
        groups = model.sized(groups)
        with self.admission.request(groups, model.name, model.queue.rate):
            return await self.wait_for(request, model, Job(groups, truncate))

    async def wait_for(self, request: Request, model: Model, job: Job, lane: Lane | None = None) -> Scored:
        """Score a job that is admitted; errors as `score`. The time of a stream's line runs once it is begun."""
        model.queue.submit(job, lane)
        scores = asyncio.wrap_future(job.done)
        leaving = asyncio.ensure_future(gone(request)) if lane is None else None  # a stream still reads its body
        waited: list[asyncio.Future[Any]] = [scores] if leaving is None else [scores, leaving]
        most = self.settings.limits.answer_seconds
        try:
            await asyncio.wait(waited, timeout=most, return_when=asyncio.FIRST_COMPLETED)
            while lane is not None and not scores.done():
                left = most if job.taken is None else job.taken + most - monotonic()
                if left <= 0:
                    break
                await asyncio.wait(waited, timeout=left)
            if leaving is not None and leaving.done() and not scores.done():
                raise ClientGone
            if not scores.done():
                raise TimeoutError
            return self._count(model, job, await scores)
        finally:
            if leaving is not None:
                leaving.cancel()
            scores.cancel()  # cancels the job, if it is not done

    def _count(self, model: Model, job: Job, scores: list[list[PairScore]]) -> Scored:
        taken = job.taken or job.submitted
        scored = Scored(job.groups, scores, taken - job.submitted, monotonic() - taken)
        self.metrics.queue_seconds.observe(scored.queue_seconds)
        self.metrics.scoring_seconds.observe(scored.scoring_seconds)
        self.metrics.tokens.labels(model.name).inc(scored.tokens)
        self.metrics.truncated.labels(model.name).inc(scored.truncated)
        return scored


async def gone(request: Request) -> None:
    """Return when the client closes the connection; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
