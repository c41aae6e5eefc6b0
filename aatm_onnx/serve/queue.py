"""Admitted work waits here: slices of large requests and whole small ones take turns, the smallest scored together.

Every request is a lane, and lanes share the model fairly: next comes the slice that would end first if all lanes ran
side by side (self-clocked fair queueing, Golestani 1994). So a small request goes before the later slices of large
ones, and these can't be kept waiting for ever. A run takes slices of several lanes, up to a budget. There is no timer:
it takes what waits. While one thread runs the model, the other tokenizes for the next run. A slice is about a batch, or
what a fast model scores in 10 ms, so that a small request waits for a short run at most. BM25 scores a document by the
others of its list: there a slice is a whole list.
"""

import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence

from ..ranking import PairScore
from ..reranker import Reranker
from .jobs import Chunk, Job, Lane, slice_tokens
from .metrics import Metrics

_RUN_SECONDS = 0.03  # how long a fast model's run of several slices may take
# Queries with one document gain from a common call (eight together: 4 times as many a second with the default model on
# 2 cores), and so do whole lists that take less than this (eight with ten documents: twice). With slower models these
# gain nothing and would wait for each other, as they would for a slice of a longer list.
_FEW_DOCUMENTS, _SMALL_SECONDS = 3, 0.01
_THREADS = 2
_RATE_MEMORY = 10.0  # seconds of work after which the measured rate has forgotten two thirds

logger = logging.getLogger("aatm_onnx.serve")


def _calls(chunks: Sequence[Chunk], rate: float) -> Iterator[list[Chunk]]:
    """Chunks that are worth one call: the small ones together and first, every other one by itself."""
    small: dict[bool, list[Chunk]] = {True: [], False: []}
    large: list[list[Chunk]] = []
    for chunk in chunks:
        few = chunk.stop - chunk.start <= _FEW_DOCUMENTS
        if few or (chunk.whole and chunk.cost <= rate * _SMALL_SECONDS):
            small[chunk.job.truncate].append(chunk)
        else:
            large.append([chunk])
    yield from [*filter(None, small.values()), *large]


class WorkQueue:
    """Scores jobs with one reranker.

    Attributes:
        rate: estimated tokens a second while there was work; 0 until the first run ended.
    """

    def __init__(self, reranker: Reranker, metrics: Metrics, name: str) -> None:
        """Start the threads."""
        self._reranker, self._metrics, self._name = reranker, metrics, name
        self._turns: list[tuple[int, int, Lane]] = []  # a heap: when a lane's next slice ends, order of coming, lane
        self._number = itertools.count()
        self._jobs: dict[Job, None] = {}  # those without scores
        self._given_up: Exception | None = None
        self._clock = 0  # when the slice that was taken last ends
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
        if self._given_up is not None:
            job.fail(self._given_up)
            return
        job.done.add_done_callback(lambda _: self._jobs.pop(job, None))
        with self._changed:
            self._jobs[job] = None
            lane.jobs.append(job)
            if not lane.waits:
                self._queue(lane)
            self._changed.notify()

    def _queue(self, lane: Lane) -> None:
        lane.waits = True
        lane.ends = max(self._clock, lane.ends) + lane.work(slice_tokens(self.rate)) + lane.jobs[0].shared
        heapq.heappush(self._turns, (lane.ends, next(self._number), lane))

    def give_up(self, error: Exception) -> None:
        """Fail every job that has no scores yet, and those that come."""
        self._given_up = error
        for job in self._jobs.copy():
            job.fail(error)

    def close(self) -> None:
        """Let the threads end, once nothing waits."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            chunks: list[Chunk] = []
            try:
                with self._changed:
                    while self._open and not self._turns:
                        self._changed.wait()
                    if not self._turns:
                        return
                    chunks = self._take()
                self._run(chunks)
            except BaseException as error:  # whatever happens, the thread lives and its clients hear of it
                if isinstance(error, SystemExit) and not self._open:
                    raise  # the process ends, and nobody waits
                logger.exception("A run failed.")
                failure = error if isinstance(error, Exception) else RuntimeError(f"Scoring was interrupted: {error!r}")
                for chunk in chunks:
                    chunk.job.fail(failure)  # a SystemExit would end the event loop

    def _take(self) -> list[Chunk]:
        """One slice of each of the next lanes; a lane that has more waits for its next turn."""
        chunks: list[Chunk] = []
        unfinished: list[Lane] = []
        work, budget = 0, slice_tokens(self.rate)
        while self._turns and work < max(budget / 2, self.rate * _RUN_SECONDS):
            self._clock, _, lane = heapq.heappop(self._turns)
            lane.waits = False
            taken = list(lane.slice(budget, self._reranker.scores_depend_on_list))
            if lane.work(1):
                unfinished.append(lane)
            chunks += taken
            work += sum(chunk.cost for chunk in taken)
        for lane in unfinished:
            self._queue(lane)
        now = time.monotonic()
        for chunk in chunks:
            chunk.job.taken = chunk.job.taken or now
        return chunks

    def _run(self, chunks: Sequence[Chunk]) -> None:
        started = time.monotonic()
        for call in _calls(chunks, self.rate):
            self._score(call, call[0].job.truncate)
        self._measure(started, chunks)

    def _score(self, chunks: Sequence[Chunk], truncate: bool) -> None:
        groups = [chunk.job.groups[chunk.group] for chunk in chunks]
        try:
            scored = self._reranker.score_pairs(
                [group.query for group in groups],
                [chunk.documents for chunk in chunks],
                task=[group.task for group in groups],
                truncate=truncate,
            )
        except Exception as error:
            if len(chunks) == 1:
                chunks[0].job.fail(error)
                return
            for chunk in chunks:  # so that what is wrong with one request fails no other
                self._score([chunk], truncate)
            return
        for chunk, scores in zip(chunks, scored, strict=True):
            self._put(chunk, scores)

    def _put(self, chunk: Chunk, scores: list[PairScore]) -> None:
        job = chunk.job
        self._metrics.pairs.labels(self._name).inc(len(scores))  # before the client can ask for it
        with self._changed:
            job.scores[chunk.group][chunk.start : chunk.stop] = scores
            job.missing -= len(scores)
            complete = not job.missing
        if complete:
            job.finish()

    def _measure(self, started: float, chunks: Sequence[Chunk]) -> None:
        now = time.monotonic()
        work = sum(chunk.cost for chunk in chunks)
        self._metrics.ran(self._name, now - started, work)
        with self._changed:
            spent = max(now - max(started, self._last_end), 1e-6)  # two threads' runs overlap
            self._last_end = now
            weight = 1.0 if not self.rate else 1.0 - math.exp(-spent / _RATE_MEMORY)
            self.rate += weight * (work / spent - self.rate)
