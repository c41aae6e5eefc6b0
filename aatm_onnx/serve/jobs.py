"""What waits to be scored: groups of documents with a query, jobs of groups, chunks of jobs, and lanes of jobs."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from ..prompt import DEFAULT_MAX_LENGTH
from ..ranking import PairScore

ASCII_TOKENS_A_BYTE = 0.25
LEAST_WORK = 12  # what every prompt adds of its own, in estimated tokens
_SLICE_TOKENS = 384
_AS_MUCH = 2048  # so many tokens take as long for what they attend to as for themselves, roughly
_SLICE_SECONDS = 0.01  # how long a fast model's slices may take, because every call costs something too


@dataclass(frozen=True)
class Group:
    """Documents to be scored against one query.

    Attributes:
        query: the query.
        documents: the documents.
        task: the instruction; None is the model's own.
        tokens_a_byte: how many tokens the model's tokenizer makes of a byte of text that is not ASCII.
    """

    query: str
    documents: Sequence[str]
    task: str | None = None
    tokens_a_byte: float = ASCII_TOKENS_A_BYTE

    @cached_property
    def work(self) -> int:
        """Estimated tokens of all its documents."""
        return sum(map(self.work_of, self.documents))

    @cached_property
    def shared(self) -> int:
        """Estimated tokens of instruction and query, which every slice reads once more."""
        return _work(self._tokens(self.query) + self._tokens(self.task or ""))

    @property
    def cost(self) -> int:
        """Estimated tokens of all its slices."""
        slices = min(1 + self.work // _SLICE_TOKENS, len(self.documents))
        return self.work + self.shared * slices

    def work_of(self, document: str) -> int:
        """Estimated tokens of a document in its prompt, with what every prompt adds of its own."""
        return LEAST_WORK + _work(self._tokens(document))

    def _tokens(self, text: str) -> int:
        if text.isascii():
            return int(len(text) * ASCII_TOKENS_A_BYTE)
        ascii_bytes = len(text.encode("ascii", "ignore"))
        others = len(text.encode()) - ascii_bytes
        return int(ascii_bytes * ASCII_TOKENS_A_BYTE + others * self.tokens_a_byte)


def slice_tokens(rate: float) -> int:
    """Estimated tokens of a slice at a measured rate, tokens a second: about a batch, or more where that is quick."""
    return max(_SLICE_TOKENS, int(rate * _SLICE_SECONDS))


def _work(tokens: int) -> int:
    """Tokens of one text, counted as short ones: each attends to all before it, and what does not fit is cut."""
    tokens = min(tokens, DEFAULT_MAX_LENGTH)
    return tokens + tokens * tokens // _AS_MUCH


@dataclass(eq=False)
class Job:
    """One query with its documents (or several), until all have scores. Cancelling `done` drops what has not run.

    Attributes:
        groups: what to score.
        truncate: cut over-long pairs; False fails the job.
        done: its scores, one list for each group.
        submitted: when it began to wait.
        taken: when its first slice was taken.
        work: estimated tokens of documents that no slice has taken.
    """

    groups: Sequence[Group]
    truncate: bool
    done: Future[list[list[PairScore]]] = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)
    taken: float | None = None

    def __post_init__(self) -> None:
        self.scores: list[list[PairScore | None]] = [[None] * len(group.documents) for group in self.groups]
        self.missing = sum(len(group.documents) for group in self.groups)
        self.work = sum(group.work for group in self.groups)
        self._group = self._start = 0

    @property
    def shared(self) -> int:
        """Estimated tokens that its next slice reads besides documents."""
        return self.groups[self._group].shared

    def next_chunk(self, budget: int, least: int, whole: bool) -> "Chunk | None":
        """The next documents of one group, `least` and otherwise within the budget; None if none fit.

        There must be work left. With `whole` they are all of the group, if `least` asks for any or all fit.
        """
        while self._start == len(self.groups[self._group].documents):
            self._group, self._start = self._group + 1, 0
        group = self.groups[self._group]
        documents, start, work = group.documents, self._start, 0
        budget -= 0 if least else self.shared  # a slice's first query is read in any case
        stop = start
        while stop < len(documents) and (stop - start < least or work + group.work_of(documents[stop]) <= budget):
            work += group.work_of(documents[stop])
            stop += 1
        if whole and stop < len(documents):
            stop, work = (len(documents), group.work) if least else (start, 0)
        if stop == start:
            return None
        self._start = stop
        self.work -= work
        return Chunk(self, self._group, start, stop, work)

    def finish(self) -> None:
        """Hand the scores over, unless another thread has said why there are none."""
        with suppress(InvalidStateError):
            self.done.set_result(self.scores)  # type: ignore[arg-type]  # none is missing any more

    def fail(self, error: Exception) -> None:
        """Hand over why there are none, unless another thread has."""
        with suppress(InvalidStateError):
            self.done.set_exception(error)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Documents `start` to `stop` of one group of a job."""

    job: Job
    group: int
    start: int
    stop: int
    work: int

    @property
    def cost(self) -> int:
        """Estimated tokens, with those of its query."""
        return self.work + self.job.groups[self.group].shared

    @property
    def whole(self) -> bool:
        """Whether it has all documents of its group."""
        return self.stop - self.start == len(self.job.groups[self.group].documents)

    @property
    def documents(self) -> Sequence[str]:
        """The texts to score."""
        return self.job.groups[self.group].documents[self.start : self.stop]


class Lane:
    """The jobs of one client's request, in order.

    Attributes:
        jobs: those that may have documents left.
        ends: when its slice that was queued last would end, in estimated tokens that the queue's clock counts.
        waits: whether a slice is queued.
    """

    def __init__(self) -> None:
        """Start without jobs."""
        self.jobs: deque[Job] = deque()
        self.ends = 0
        self.waits = False

    def work(self, most: int) -> int:
        """Estimated tokens that are left, or `most` if they are more."""
        work = 0
        for job in self.jobs:
            if (work := work + job.work) >= most:
                return most
        return work

    def slice(self, budget: int, whole: bool) -> Iterator[Chunk]:
        """Take chunks up to the budget, at least a document (with `whole` a group), leaving out jobs that ended."""
        least = 1
        while self.jobs:
            job = self.jobs[0]
            if job.done.done() or not job.work:
                self.jobs.popleft()
            elif chunk := job.next_chunk(budget, least, whole):
                budget, least = budget - chunk.cost, 0
                yield chunk
            else:
                return
