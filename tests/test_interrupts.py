"""Ctrl-C, or a timeout by a signal, while a call runs: it ends at once, and the reranker answers as before."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from aatm_onnx import Qwen3Reranker
from aatm_onnx.bundle import open_bundle
from aatm_onnx.runtime.scorer import Scorer
from aatm_onnx.runtime.session import open_session

STORM = """
import random, signal, sys, time
from aatm_onnx import Qwen3Reranker
from aatm_onnx.runtime import session

def interrupt(*_):
    raise KeyboardInterrupt

session.usable_cpus = lambda: int(sys.argv[2])
reranker = Qwen3Reranker(sys.argv[1], provider="cpu", cached_tokens=0, token_budget=64)  # many batches
queries, candidates = [f"query {n}" for n in range(8)], [["fever", "headache", "cough"]] * 8
undisturbed = reranker.rank_many(queries, candidates)
start = time.perf_counter()
reranker.rank_many([query + "?" for query in queries], candidates)
seconds = time.perf_counter() - start
signal.signal(signal.SIGALRM, interrupt)
interrupted, end = 0, time.monotonic() + 8
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.02, 1) * seconds)
        reranker.rank_many([f"{query} {interrupted}" for query in queries], candidates)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
assert interrupted > 5, interrupted
assert reranker.rank_many(queries, candidates) == undisturbed
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no interval timer here")
@pytest.mark.parametrize("threads", ["2", "5"])
def test_a_reranker_that_is_interrupted_again_and_again_goes_on(bundle: Path, threads: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", STORM, bundle, threads], timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""


def test_a_call_that_an_interrupted_thread_had_taken_is_answered(bundle: Path) -> None:
    opened = open_bundle(bundle)
    scorer = Scorer(open_session(opened, "cpu"), opened.manifest.pad_token_id)
    prompts = [np.arange(5, 15, dtype=np.int32)]
    with ThreadPoolExecutor(1) as thread, scorer._running:
        waiting = thread.submit(scorer.logits, prompts)
        deadline = time.monotonic() + 60
        while not scorer._waiting and time.monotonic() < deadline:
            time.sleep(0.01)
        scorer._take(scorer._waiting[0])  # and here the interrupt comes
        scorer._running.release()
        try:
            assert waiting.result(timeout=60).tolist() == scorer.logits(prompts).tolist()
        finally:
            scorer._running.acquire()


class TimeLimitExceeded(Exception):
    """As Celery raises one in a signal's handler."""


def raise_at_signal(*_: object) -> None:
    raise TimeLimitExceeded


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Sets a time limit in seconds; 0 takes it back."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("there is no interval timer here")
    before = signal.signal(signal.SIGALRM, raise_at_signal)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_time_limit_is_the_callers_own_exception(bundle: Path, timer: Callable[[float], None]) -> None:
    """While texts are tokenized, and while the graph runs."""
    reranker = Qwen3Reranker(bundle, provider="cpu", threads=1)
    documents = [f"term {number}" for number in range(1500)]

    def tokenize(query: str) -> None:
        reranker.process_inputs([reranker.format_instruction("task", query, document) for document in documents])

    def score(query: str) -> None:
        reranker.score(query, documents[:300])

    for run in (tokenize, score):
        start = time.perf_counter()
        run("undisturbed")
        seconds = time.perf_counter() - start
        for part in range(1, 7):
            with pytest.raises(TimeLimitExceeded):
                timer(part / 8 * seconds)
                run(f"query {part}")
                time.sleep(seconds)


class Interrupted(list[Any]):
    """Prompts of a call whose thread is interrupted when it runs them."""

    reads = 0

    def __iter__(self) -> Iterator[Any]:
        self.reads += 1
        if self.reads == 2:
            raise KeyboardInterrupt
        return super().__iter__()


def test_an_interrupt_is_for_its_own_thread(bundle: Path) -> None:
    opened = open_bundle(bundle)
    scorer = Scorer(open_session(opened, "cpu"), opened.manifest.pad_token_id)
    prompts = [np.arange(5, 15, dtype=np.int32)]
    with ThreadPoolExecutor(1) as thread:
        with scorer._running:
            other = thread.submit(scorer.logits, prompts)
            while not scorer._waiting:
                time.sleep(0.01)
            with pytest.raises(KeyboardInterrupt):
                scorer.logits(Interrupted(prompts))  # it runs both
        assert other.result(timeout=60).tolist() == scorer.logits(prompts).tolist()


def test_a_call_that_is_interrupted_while_it_waits_is_run_by_none(bundle: Path, timer: Callable[[float], None]) -> None:
    opened = open_bundle(bundle)
    scorer = Scorer(open_session(opened, "cpu"), opened.manifest.pad_token_id)
    holds, ends = Event(), Event()

    def hold() -> None:
        with scorer._running:
            holds.set()
            ends.wait(60)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(hold)
        holds.wait(60)
        with pytest.raises(TimeLimitExceeded):
            timer(0.05)
            scorer.logits([np.arange(5, 15, dtype=np.int32)])
        assert scorer._waiting == []
        ends.set()
