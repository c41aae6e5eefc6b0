"""Admitted work waits here: slices of large requests and whole small ones take turns, the smallest scored together.

Every request is a lane. A run takes one slice of each lane in turn, up to a budget. There is no timer: a run takes what
waits. While one thread runs the model, the other tokenizes for the next run. A slice is about a batch, or what a fast
model scores in 10 ms, so that a small request waits for two short runs at most.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from ..ranking import PairScore
from ..reranker import Reranker
from .metrics import Metrics

_SLICE_TOKENS = 384
# How long a fast model's slices may take, because every call costs something too, and a run of several slices.
_SLICE_SECONDS, _RUN_SECONDS = 0.01, 0.03
# Queries with one document gain from a common call (eight together: 4 times as many a second with the default model on
# 2 cores), and so do those that take less than this (eight with ten documents: twice). With slower models these gain
# nothing and would wait for each other.
_FEW_DOCUMENTS, _SMALL_SECONDS = 3, 0.005
_THREADS = 2
_RATE_MEMORY = 10.0  # seconds of work after which the measured rate has forgotten two thirds

logger = logging.getLogger("aatm_onnx.serve")


@dataclass(frozen=True)
class Group:
    """Documents to be scored against one query."""

    query: str
    documents: Sequence[str]
    task: str | None = None


def slice_tokens(rate: float) -> int:
    """Estimated tokens of a slice at a measured rate, tokens a second: about a batch, or more where that is quick."""
    return max(_SLICE_TOKENS, int(rate * _SLICE_SECONDS))


def work_of(text: str) -> int:
    """Estimated tokens of a document in its prompt: four characters each, and what every prompt adds of its own."""
    return 12 + len(text) // 4


@dataclass(eq=False)
class Job:
    """One query with its documents (or several), until all have scores. Cancelling `done` drops what has not run.

    Attributes:
        groups: what to score.
        truncate: cut over-long pairs; False fails the job.
        done: its scores, one list for each group.
        submitted: when it began to wait.
        taken: when its first slice was taken.
    """

    groups: Sequence[Group]
    truncate: bool
    done: Future[list[list[PairScore]]] = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)
    taken: float | None = None

    def __post_init__(self) -> None:
        self.scores: list[list[PairScore | None]] = [[None] * len(group.documents) for group in self.groups]
        self.missing = sum(len(group.documents) for group in self.groups)
        self._group = self._start = 0

    def next_piece(self, budget: int) -> "Piece | None":
        """The next documents, at least one and otherwise within the budget; None when all are taken."""
        while self._group < len(self.groups) and self._start == len(self.groups[self._group].documents):
            self._group, self._start = self._group + 1, 0
        if self._group == len(self.groups):
            return None
        documents, start, work = self.groups[self._group].documents, self._start, 0
        stop = start
        while stop < len(documents) and (stop == start or work + work_of(documents[stop]) <= budget):
            work += work_of(documents[stop])
            stop += 1
        self._start = stop
        return Piece(self, self._group, start, stop, work)

    def finish(self) -> None:
        """Hand the scores over."""
        if self.done.set_running_or_notify_cancel():
            self.done.set_result(self.scores)  # type: ignore[arg-type]  # none is missing any more

    def fail(self, error: Exception) -> None:
        """Hand over why there are none."""
        if not self.done.done() and self.done.set_running_or_notify_cancel():
            self.done.set_exception(error)


@dataclass(frozen=True, eq=False)
class Piece:
    """Documents `start` to `stop` of one group of a job."""

    job: Job
    group: int
    start: int
    stop: int
    work: int

    @property
    def documents(self) -> Sequence[str]:
        """The texts to score."""
        return self.job.groups[self.group].documents[self.start : self.stop]


class Lane:
    """The jobs of one client's request, in order."""

    def __init__(self) -> None:
        """Start without jobs."""
        self.jobs: deque[Job] = deque()

    def slice(self, budget: int) -> Iterator[Piece]:
        """Take pieces up to the budget, leaving out jobs that ended."""
        while self.jobs and budget > 0:
            job = self.jobs[0]
            piece = None if job.done.done() else job.next_piece(budget)
            if piece is None:
                self.jobs.popleft()
                continue
            budget -= piece.work
            yield piece


def _calls(pieces: Sequence[Piece], rate: float) -> Iterator[list[Piece]]:
    """Pieces that are worth one call: the small ones together and first, every other one by itself."""
    small: dict[bool, list[Piece]] = {True: [], False: []}
    large: list[list[Piece]] = []
    for piece in pieces:
        if piece.stop - piece.start <= _FEW_DOCUMENTS or piece.work <= rate * _SMALL_SECONDS:
            small[piece.job.truncate].append(piece)
        else:
            large.append([piece])
    yield from [*filter(None, small.values()), *large]


class WorkQueue:
    """Scores jobs with one reranker.

    Attributes:
        rate: estimated tokens a second while there was work; 0 until the first run ended.
    """

    def __init__(self, reranker: Reranker, metrics: Metrics, name: str) -> None:
        """Start the threads."""
        self._reranker, self._metrics, self._name = reranker, metrics, name
        self._turns: deque[Lane] = deque()
        self._changed = threading.Condition()
        self._open = True
        self.rate = 0.0
        self._last_end = 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"score-{name}-{number}", daemon=True)
            for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether every thread lives."""
        return all(thread.is_alive() for thread in self._threads)

    def submit(self, job: Job, lane: Lane | None = None) -> None:
        """Let a job wait, behind the others of its lane."""
        lane = lane or Lane()
        if not job.missing:
            job.finish()
            return
        with self._changed:
            lane.jobs.append(job)
            if lane not in self._turns:
                self._turns.append(lane)
            self._changed.notify()

    def close(self) -> None:
        """Let the threads end, once nothing waits."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            pieces: list[Piece] = []
            try:
                with self._changed:
                    while self._open and not self._turns:
                        self._changed.wait()
                    if not self._turns:
                        return
                    pieces = self._take()
                self._run(pieces)
            except BaseException as error:  # whatever happens, the thread lives and its clients hear of it
                logger.exception("A run failed.")
                failure = error if isinstance(error, Exception) else RuntimeError(f"Scoring was interrupted: {error!r}")
                for piece in pieces:
                    piece.job.fail(failure)  # a SystemExit would end the event loop

    def _take(self) -> list[Piece]:
        """One slice of each lane in turn; a lane that has more waits for its next turn at the end."""
        pieces: list[Piece] = []
        work, waiting, budget = 0, len(self._turns), slice_tokens(self.rate)
        while waiting and work < max(budget / 2, self.rate * _RUN_SECONDS):
            waiting -= 1
            lane = self._turns.popleft()
            taken = list(lane.slice(budget))
            if lane.jobs:
                self._turns.append(lane)
            pieces += taken
            work += sum(piece.work for piece in taken)
        now = time.monotonic()
        for piece in pieces:
            piece.job.taken = piece.job.taken or now
        return pieces

    def _run(self, pieces: Sequence[Piece]) -> None:
        started = time.monotonic()
        for call in _calls(pieces, self.rate):
            self._score(call, call[0].job.truncate)
        self._measure(started, pieces)

    def _score(self, pieces: Sequence[Piece], truncate: bool) -> None:
        groups = [piece.job.groups[piece.group] for piece in pieces]
        try:
            scored = self._reranker.score_pairs(
                [group.query for group in groups],
                [piece.documents for piece in pieces],
                task=[group.task for group in groups],
                truncate=truncate,
            )
        except Exception as error:
            if len(pieces) == 1:
                pieces[0].job.fail(error)
                return
            for piece in pieces:  # so that what is wrong with one request fails no other
                self._score([piece], truncate)
            return
        for piece, scores in zip(pieces, scored, strict=True):
            self._put(piece, scores)

    def _put(self, piece: Piece, scores: list[PairScore]) -> None:
        job = piece.job
        self._metrics.pairs.labels(self._name).inc(len(scores))  # before the client can ask for it
        with self._changed:
            job.scores[piece.group][piece.start : piece.stop] = scores
            job.missing -= len(scores)
            complete = not job.missing
        if complete:
            job.finish()

    def _measure(self, started: float, pieces: Sequence[Piece]) -> None:
        now = time.monotonic()
        work = sum(piece.work for piece in pieces)
        self._metrics.ran(self._name, now - started, work)
        with self._changed:
            spent = max(now - max(started, self._last_end), 1e-6)  # two threads' runs overlap
            self._last_end = now
            weight = 1.0 if not self.rate else 1.0 - math.exp(-spent / _RATE_MEMORY)
            self.rate += weight * (work / spent - self.rate)
