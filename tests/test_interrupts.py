"""Ctrl-C in the middle of scoring: the call ends at once, and the reranker answers as before."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

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
        while not scorer._take() and time.monotonic() < deadline:  # and here the interrupt comes
            time.sleep(0.01)
        scorer._running.release()
        try:
            assert waiting.result(timeout=60).tolist() == scorer.logits(prompts).tolist()
        finally:
            scorer._running.acquire()
