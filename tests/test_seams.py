"""What servers and integrations build on: many queries and tasks, streams, tokens, threads, pickles, forks, closing."""

import copy
import multiprocessing
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aatm_onnx import BM25Reranker, PairScore, Qwen3Reranker, ScoreError, TooLongError
from aatm_onnx.bundle import open_bundle
from aatm_onnx.runtime.scorer import Scorer
from aatm_onnx.runtime.session import open_session

TERMS = ["Hypertension", "Hypotension", "Renal cyst", "Nephrolithiasis", "Gallstones", "Heart failure", "", "高血圧"]
texts = st.sampled_from(TERMS)
queries = st.lists(st.tuples(texts, st.lists(texts, max_size=5)), max_size=12)
slow = settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def default() -> Iterator[Qwen3Reranker]:
    with Qwen3Reranker(provider="cpu") as reranker:
        yield reranker


# Many queries, each with its own task


@slow
@given(items=queries)
def test_many_queries_score_as_each_one_alone(default: Qwen3Reranker, items: list[tuple[str, list[str]]]) -> None:
    together = default.score_pairs([query for query, _ in items], [documents for _, documents in items])
    for (query, documents), pairs in zip(items, together, strict=True):
        assert np.allclose([pair.score for pair in pairs], default.score(query, documents), atol=1e-6)


def test_every_query_may_have_its_own_task(reranker: Qwen3Reranker) -> None:
    tasks = ["Find the disease.", None, "Find the opposite."]
    together = reranker.score_pairs(["kidney stones"] * 3, [TERMS] * 3, task=tasks)
    for task, pairs in zip(tasks, together, strict=True):
        alone = reranker.score("kidney stones", TERMS, task=task)
        assert np.allclose([pair.score for pair in pairs], alone, atol=1e-6)
    assert not np.allclose([p.score for p in together[0]], [p.score for p in together[2]], atol=1e-4)
    assert reranker.rank("kidney stones", TERMS, task=tasks[0]) == reranker.rank_many(
        ["kidney stones"], [TERMS], task=tasks[0]
    )[0]  # fmt: skip
    (streamed, own) = reranker.rank_stream(
        [("kidney stones", TERMS), ("kidney stones", TERMS, tasks[2])], task=tasks[0]
    )  # fmt: skip
    assert (streamed, own) == tuple(reranker.rank("kidney stones", TERMS, task=task) for task in (tasks[0], tasks[2]))
    with pytest.raises(ValueError, match="3 queries but 2 tasks"):
        reranker.rank_many(["a"] * 3, [["b"]] * 3, task=["x", "y"])


def test_a_task_given_to_a_call_is_the_rerankers_own(reranker: Qwen3Reranker, bundle: Path) -> None:
    other = Qwen3Reranker(bundle, task="Find the disease.", provider="cpu")
    own = other.score("kidney stones", TERMS)
    assert reranker.score("kidney stones", TERMS, task="Find the disease.") == pytest.approx(own, abs=1e-6)


# What a result says beside its score


def test_a_result_says_tokens_and_whether_it_was_cut(bundle: Path) -> None:
    short = Qwen3Reranker(bundle, provider="cpu", max_length=90)
    fits, cut = short.score_pairs(["pain"], [["ache", "ache " * 200]])[0]
    assert (fits.truncated, cut.truncated, cut.tokens) == (False, True, 90)
    inputs = short.process_inputs([short.format_instruction(short.task, "pain", "ache")])
    assert fits.tokens == inputs["attention_mask"].sum()
    by_document = {row.document: row for row in short.rank("pain", ["ache", "ache " * 200])}
    assert by_document["ache"].tokens == fits.tokens and by_document["ache " * 200].truncated


def test_what_may_not_be_cut_is_refused_by_name(bundle: Path) -> None:
    short = Qwen3Reranker(bundle, provider="cpu", max_length=90)
    with pytest.raises(TooLongError, match="Document 1 of query 1 does not fit 90 tokens"):
        short.rank_many(["pain", "fever"], [["ache"], ["heat", "heat " * 200]], truncate=False)
    assert short.score("pain", ["ache"], truncate=False) == short.score("pain", ["ache"])


def test_a_logit_means_its_score(default: Qwen3Reranker) -> None:
    for pair in default.score_pairs(["kidney stones"], [TERMS])[0]:
        assert pair.logit is not None and pair.score == pytest.approx(1 / (1 + np.exp(-pair.logit)), rel=1e-5)
    assert all(row.logit is not None for row in default.rank("kidney stones", TERMS))
    assert BM25Reranker().score_pairs(["a b"], [["a b", "c"]])[0][0].logit is None


def test_a_score_that_is_not_a_number_is_an_error(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = Qwen3Reranker(bundle, provider="cpu")

    def logits(self: Scorer, prompts: list[Any]) -> Any:
        return np.array([[0, 1]] * (len(prompts) - 1) + [[0, np.nan]], np.float32)

    monkeypatch.setattr(Scorer, "logits", logits)
    with pytest.raises(ScoreError, match=r"Document 0 of query 1 has a score that is not a number.*on cpu") as error:
        reranker.score_pairs(["a", "b"], [["c", "d"], ["e"]])
    assert str(bundle) in str(error.value)


def test_a_ranked_document_is_a_tuple_of_three() -> None:
    (row,) = BM25Reranker().rank("a", ["a b"])
    index, score, document = row
    assert (index, document) == (0, "a b") and row == (0, score, "a b")
    assert pickle.loads(pickle.dumps(row)) == row and copy.deepcopy(row).truncated is False


# Streams


@slow
@given(items=queries, top_k=st.one_of(st.none(), st.integers(1, 3)))
def test_a_stream_ranks_as_one_call(items: list[tuple[str, list[str]]], top_k: int | None) -> None:
    reranker = BM25Reranker()
    at_once = reranker.rank_many([query for query, _ in items], [documents for _, documents in items], top_k)
    assert list(reranker.rank_stream(iter(items), top_k)) == at_once


def test_a_stream_looks_only_a_little_ahead_and_reports() -> None:
    taken: list[int] = []

    def items() -> Iterator[tuple[str, list[str]]]:
        for number in range(1000):
            taken.append(number)
            yield f"query {number}", ["a", "b"]

    done: list[int] = []
    stream = BM25Reranker().rank_stream(items(), progress=done.append)
    next(stream)
    assert len(taken) == 1  # the first ranking comes before the second query is asked for
    ranked = 1
    for _ in stream:
        ranked += 1
        assert len(taken) <= ranked + 32
    assert ranked == 1000 and done[-1] == 1000 and done == sorted(done)


def test_a_stream_names_the_query_that_is_wrong() -> None:
    stream = BM25Reranker().rank_stream([("a", ["b"]), ("c", ["d", None])])  # type: ignore[list-item]
    assert len(next(stream)) == 1
    with pytest.raises(ValueError, match="Document 1 of query 1 must be a string"):
        next(stream)


# Threads


def test_many_threads_get_the_scores_that_each_would_alone(default: Qwen3Reranker) -> None:
    random.seed(0)
    calls = [(f"{random.choice(TERMS)} {number % 7}", random.sample(TERMS, 5)) for number in range(120)]
    with ThreadPoolExecutor(16) as threads:
        together = list(threads.map(lambda call: default.score(*call), calls))
    for call, scores in zip(calls, together, strict=True):
        assert scores == pytest.approx(default.score(*call), abs=5e-6)


def test_what_is_wrong_with_one_call_fails_no_other(bundle: Path) -> None:
    scorer = Scorer(open_session(open_bundle(bundle), "cpu"), 0)
    good, bad = np.arange(30, dtype=np.int32), np.full(30, 10**7, np.int32)
    expected = scorer.logits([good])

    def run(number: int) -> Any:
        try:
            return scorer.logits([bad if number % 5 == 0 else good])
        except Exception as error:
            return error

    with ThreadPoolExecutor(8) as threads:
        for number, outcome in enumerate(threads.map(run, range(40))):
            if number % 5 == 0:
                assert isinstance(outcome, Exception)
            else:
                np.testing.assert_allclose(outcome, expected, atol=1e-5)


def test_a_streams_documents_may_be_any_iterable_and_are_named_where_they_are_none(default: Qwen3Reranker) -> None:
    ((best, *_),) = default.rank_stream([("kidney stones", (term for term in TERMS))])
    assert best.document == "Nephrolithiasis"
    for item, message in (
        (("pain", None), "The documents of query 1 must be a list of strings, not NoneType"),
        (("pain",), "Item 1 of the stream must be"),
        (5, "Item 1 of the stream must be"),
        (("pain", ["ache"], 5), "Task 1 must be a string, not int"),
    ):
        with pytest.raises(ValueError, match=message):
            list(default.rank_stream([("pain", ["ache"]), item]))  # type: ignore[list-item]


# Pickles, forks, closing


def test_a_pickled_reranker_opens_its_bundle_again(bundle: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(bundle.parent)
    reranker = Qwen3Reranker(bundle.name, max_length=200, task="Find the disease.", provider="cpu", threads=1)
    pickled = pickle.dumps(reranker)
    monkeypatch.chdir(tmp_path)  # the path was relative
    again = pickle.loads(pickled)
    assert again.score("kidney stones", TERMS) == reranker.score("kidney stones", TERMS)
    assert (again.max_length, again.task) == (200, "Find the disease.")
    assert copy.deepcopy(reranker).score("pain", ["ache"]) == reranker.score("pain", ["ache"])


def _score_in_child(reranker: Qwen3Reranker) -> list[float]:
    return reranker.score("kidney stones", TERMS)


def test_a_reranker_goes_to_a_spawned_process(default: Qwen3Reranker) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_score_in_child, (default,)) == default.score("kidney stones", TERMS)


FORKED = """
import os
from aatm_onnx import Qwen3Reranker
reranker = Qwen3Reranker(provider="cpu")
mine = reranker.score("kidney stones", ["Gallstones", "Nephrolithiasis"])
child = os.fork()
if not child:
    os._exit(0 if reranker.score("kidney stones", ["Gallstones", "Nephrolithiasis"]) == mine else 3)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
def test_a_forked_child_scores_with_a_session_of_its_own() -> None:
    """In a process of its own: pytest's has torch's threads, which don't survive a fork."""
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


FORKED_ELSEWHERE = """
import os, shutil, sys, threading
import aatm_onnx.rerankers
from aatm_onnx import BundleError, Qwen3Reranker
from aatm_onnx.models import find_bundle

os.chdir(sys.argv[1])
reranker = Qwen3Reranker("bundle", provider="cpu", threads=1)  # a relative path
mine = reranker.score("kidney stones", ["Gallstones", "Nephrolithiasis"])
os.chdir("/")
opened, found, open_session = [], [], aatm_onnx.rerankers.open_session
aatm_onnx.rerankers.open_session = lambda *given, **options: opened.append(1) or open_session(*given, **options)

def score():
    found.append(reranker.score("kidney stones", ["Gallstones", "Nephrolithiasis"]))

if not (child := os.fork()):
    threads = [threading.Thread(target=score) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0 if found == [mine] * 8 and len(opened) == 1 else 3)
assert os.waitpid(child, 0)[1] == 0
shutil.rmtree(reranker.bundle.path)
shutil.copytree(find_bundle(), reranker.bundle.path)
if not (child := os.fork()):
    try:
        score()
    except BundleError as error:
        os._exit(0 if "was replaced since the parent process opened it" in str(error) else 4)
    os._exit(5)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
def test_a_child_opens_its_parents_bundle_once_wherever_it_is(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED_ELSEWHERE, tmp_path], check=True, timeout=60)


FORKED_WHILE_OTHERS_SCORE = """
import os, signal, sys, threading, time
import aatm_onnx.runtime.session
aatm_onnx.runtime.session.usable_cpus = lambda: 5  # a session that has threads of its own, on any machine
from aatm_onnx import Qwen3Reranker
reranker = Qwen3Reranker(provider="cpu")
documents = ["Gallstones", "Nephrolithiasis"] * 30
mine = reranker.score("kidney stones", documents)

def score_forever():
    while True:
        reranker.score("kidney stones", documents)

for _ in range(int(sys.argv[1])):
    threading.Thread(target=score_forever, daemon=True).start()
for scores in (True, False):
    child = os.fork()
    if not child:
        if scores:
            assert max(abs(a - b) for a, b in zip(reranker.score("kidney stones", documents), mine)) < 1e-5
        sys.exit(0)  # which frees what the child holds
    for _ in range(600):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        status = "hangs"
    if status:
        print("the child", status, flush=True)
        os._exit(1)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.parametrize("busy_threads", [0, 4])
def test_a_child_scores_and_ends_whatever_ran_when_it_was_forked(busy_threads: int) -> None:
    """ONNX Runtime would wait for threads that the child doesn't have."""
    command = [sys.executable, "-W", "ignore", "-c", FORKED_WHILE_OTHERS_SCORE, str(busy_threads)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr


ENDED_WHILE_A_THREAD_SCORES = """
import sys, threading, time
import numpy as np
from aatm_onnx.bundle import open_bundle
from aatm_onnx.models import find_bundle
from aatm_onnx.runtime.scorer import Scorer
from aatm_onnx.runtime.session import open_session
scorer = Scorer(open_session(open_bundle(find_bundle()), "cpu"), 0)
prompts = [np.arange(start, start + 30, dtype=np.int32) for start in range(300)]  # several batches

def score_forever():
    while True:
        scorer.logits(prompts)

threading.Thread(target=score_forever, daemon=True).start()
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.08, 0.11])
def test_a_process_ends_while_a_daemon_thread_scores(seconds: float) -> None:
    """Python would end that thread inside ONNX Runtime, which aborts the process."""
    command = [sys.executable, "-c", ENDED_WHILE_A_THREAD_SCORES, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


ENDED_BY_WHO_JOINS_A_WORKER = """
import atexit, threading
stop, workers = threading.Event(), []

def join():
    stop.set()
    for worker in workers:
        worker.join()

atexit.register(join)  # before the package's own, so that it runs after that
from aatm_onnx import Qwen3Reranker
reranker = Qwen3Reranker(provider="cpu", threads=1)
begun = threading.Event()

def work():
    while not stop.is_set():
        reranker.score("kidney stones", ["Gallstones", "Nephrolithiasis"])
        begun.set()

workers.append(threading.Thread(target=work, daemon=True))
workers[0].start()
begun.wait()
"""


def test_a_handler_at_exit_may_join_a_thread_that_scores() -> None:
    command = [sys.executable, "-c", ENDED_BY_WHO_JOINS_A_WORKER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


OPENED_AND_DROPPED = """
import threading
from aatm_onnx import Qwen3Reranker
documents = [f"term {number} of the kidney" for number in range(60)]
for _ in range(15):
    reranker = Qwen3Reranker(provider="cpu")
    threads = [threading.Thread(target=reranker.score, args=("kidney stone", documents)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    del reranker, thread, threads
"""


def test_a_session_ends_right_after_its_last_run() -> None:
    """ONNX Runtime waits for its threads then, and holds the lock that one of them may want."""
    subprocess.run([sys.executable, "-c", OPENED_AND_DROPPED], check=True, timeout=60)


def test_a_closed_reranker_says_that_it_is_closed(bundle: Path) -> None:
    with Qwen3Reranker(bundle, provider="cpu", threads=1) as reranker:
        assert repr(reranker).endswith("standard fp32, provider='cpu', threads=1)")
        reranker.score("pain", ["ache"])
    with pytest.raises(ValueError, match="closed"):
        reranker.score("pain", ["ache"])
    assert repr(reranker).endswith("closed)")


def test_a_model_has_one_name_everywhere(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aatm_onnx import Qwen3RerankerModels, load_reranker
    from aatm_onnx.models import find_bundle

    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "Qwen3-Reranker-0.6B").symlink_to(bundle)
    names = ("qwen3-reranker-0.6b", "Qwen/Qwen3-Reranker-0.6B", Qwen3RerankerModels.QWEN3_06B)
    for name in (*names, "models/Qwen3-Reranker-0.6B", tmp_path / "models" / "Qwen3-Reranker-0.6B"):
        assert find_bundle(name).resolve() == bundle
        for opened in (Qwen3Reranker(name, provider="cpu"), load_reranker(name, provider="cpu")):
            assert isinstance(opened, Qwen3Reranker) and opened.bundle.path.resolve() == bundle
    assert find_bundle() == find_bundle("default")


def test_pair_scores_are_small() -> None:
    assert not hasattr(PairScore(0.5), "__dict__")
