"""Runs of an ONNX Runtime session, by the thread that wants them or beside it, by the session's own threads.

A session on the CPU has a pool of threads, one fewer than compute. A run that another thread starts shares its
operators out among itself and those of the pool that are idle. A run that a thread of the pool was given is computed by
this thread, as far as the pool has no other. So a single batch has all threads. Where there are as many batches as
threads, each has one, with nothing to wait for between operators. ONNX Runtime's `run_async` gives a run to the pool.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Lock
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import ref

from ..errors import ScoreError
from .device import run_on_device

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

Result = TypeVar("Result")
# Work in several runs: yields what to run, is sent what that gave (arrays, or one on the GPU), returns its result.
Runs: TypeAlias = Generator["Run", Any, Result]


@dataclass(frozen=True)
class Run:
    """One run of a session.

    Attributes:
        outputs: which of the graph's outputs are wanted; on "cuda" one.
        feed: the inputs by name.
        provider: "cpu" or "cuda"; there the output stays on the GPU, and a prefix need not travel to the CPU and back.
        options: what ONNX Runtime is told.
    """

    outputs: tuple[str, ...]
    feed: dict[str, Any]
    provider: str
    options: "RunOptions | None"

    def failed(self, error: object) -> ScoreError:
        """What to tell the user."""
        return ScoreError(
            f"ONNX Runtime can't run the graph on {self.provider} ({error}); if memory ran out, take a smaller"
            " max_length or token_budget, else check the bundle with `aatm-onnx verify`."
        )


def complete(runtime: "InferenceSession", work: Runs[Result], given: object = None) -> Result:
    """Do work in the calling thread.

    Args:
        runtime: the session.
        work: what is to be done.
        given: what the run gave that the work waits for, if it was begun elsewhere.

    Raises:
        ScoreError: a run fails.
    """
    try:
        while True:
            given = _run(runtime, work.send(given))
    except StopIteration as end:
        result: Result = end.value
        return result


class Beside:
    """Threads of a session's own pool, and the work that waits for them.

    The session must not end before `wait` has returned: Python's ONNX Runtime holds the interpreter's lock while it
    waits for the pool's threads to end, and a thread that did some work needs that lock until it has let go of what it
    was fed. So what tells that it is done is the end of the last object that only this thread holds, by way of a queue
    that runs no Python code. What was fed ends here, not there: giving memory back may let go of the lock.
    """

    def __init__(self, runtime: "InferenceSession", threads: int) -> None:
        """Take a session, and so many of its pool's threads, or none."""
        self._runtime, self._threads = runtime, threads
        self._lock = Lock()  # guards the next two
        self._busy = 0
        self._waiting: list[Runs[None]] = []
        self._failure: BaseException | None = None
        self._fed: list[tuple[Run, ref[set[str]]]] = []
        self._ends: SimpleQueue[object] = SimpleQueue()  # wakes `wait`; what has ended the references tell

    @property
    def has_room(self) -> bool:
        """Whether work may be added: a batch waits for each thread, so that it goes on without being told."""
        return len(self._waiting) < self._threads

    def add(self, work: Runs[None]) -> None:
        """Let one of the threads do this work, as soon as it can.

        Raises:
            ScoreError: it can't be begun, or earlier work failed.
        """
        self.raise_failure()
        with self._lock:
            if self._busy == self._threads:
                self._waiting.append(work)
                return
            self._busy += 1
        self._start(work)

    def take_back(self) -> Runs[None] | None:
        """Work that was added and not begun, what waits longest."""
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None

    def wait(self) -> None:
        """Wait until the threads have done what they began, whatever interrupts; what was not begun never will be."""
        interruption: BaseException | None = None
        is_running = True
        while is_running:
            try:
                while self.take_back() is not None:
                    pass
                while is_running := self._let_go():
                    self._ends.get()
            except BaseException as error:  # it may come with an end just taken from the queue, which is lost
                interruption = error
        if interruption is not None:
            raise interruption

    def raise_failure(self) -> None:
        """Say what went wrong.

        Raises:
            ScoreError: a run failed.
        """
        if self._failure is not None:
            raise self._failure

    def _start(self, work: Runs[None]) -> None:
        self._let_go()
        run = next(work)
        go_on = partial(self._go_on, work, run)
        only_there: set[str] | None = None
        try:
            only_there = set(run.outputs)
            self._fed.append((run, ref(only_there, self._ends.put)))
            self._runtime.run_async(run.outputs, run.feed, go_on, only_there, run.options)
        except BaseException as error:
            clear_frames(error.__traceback__)  # else it keeps `only_there`, as one of run_async's arguments
            if _is_failure(error):
                raise run.failed(error) from error
            raise
        finally:  # and as this function's
            only_there = None

    def _let_go(self) -> bool:
        """End what was fed to the runs that are done; whether others are left."""
        self._fed = [(run, only_there) for run, only_there in self._fed if only_there() is not None]
        return bool(self._fed)

    def _go_on(self, work: Runs[None] | None, run: Run, outputs: list[Any], only_there: object, error: str) -> None:
        """In the pool's thread, where an exception would end the process."""
        del only_there  # else the traceback of a failure would keep it
        try:
            if error:
                raise run.failed(error)
            given: object = outputs
            while work is not None:
                complete(self._runtime, work, given)
                given, work = None, self._next()
        except BaseException as failure:
            self._failure = failure

    def _next(self) -> Runs[None] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.pop(0)
            self._busy -= 1
        return None


def _run(runtime: "InferenceSession", run: Run) -> list[Any]:
    try:
        if run.provider == "cuda":
            (output,) = run.outputs
            return [run_on_device(runtime, "cuda", output, run.feed)]
        outputs: list[Any] = runtime.run(run.outputs, run.feed, run.options)
        return outputs
    except Exception as error:
        if not _is_failure(error):
            raise
        raise run.failed(error) from error


def _is_failure(error: BaseException) -> bool:
    """Whether ONNX Runtime failed, whose exceptions share no base class; a timeout that a signal raises goes on."""
    return type(error) in (RuntimeError, MemoryError) or type(error).__module__.startswith("onnxruntime.")
