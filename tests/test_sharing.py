"""What prompts share is run once, and no score shows it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from weakref import ReferenceType, ref

import numpy as np
import pytest
from aatm_onnx_export.checkpoint import open_checkpoint
from aatm_onnx_export.export import export_checkpoint
from aatm_onnx_export.reference import float32_logits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.kv_cache import PrefixKV
from aatm_onnx.runtime.prefix_tree import PrefixNode, common_length, prefix_tree
from aatm_onnx.runtime.scoring import probability_of_yes, score_prompts
from aatm_onnx.runtime.session import Session, open_session

from .checkpoints import VOCABULARY, make_checkpoint

Prompt = list[int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose scores spread over most of (0, 1)."""
    return make_checkpoint(tmp_path_factory.mktemp("sharing") / "checkpoint", spread=0.1)


@pytest.fixture(scope="module", params=["fp32", "int8"])
def session(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session over a fused graph."""
    output = tmp_path_factory.mktemp(request.param) / "bundle"
    min_tau = -1 if request.param == "int8" else None  # its weights are random, and so is their order
    return open_session(export_checkpoint(str(folder), output, precision=request.param, min_tau=min_tau), "cpu")


# A few tokens and long repeats make for many ways to share: nested, empty, whole prompts equal or within each other.
pieces = st.builds(lambda token, times: [token] * times, st.integers(0, 3), st.integers(1, 50))
prompts = st.lists(pieces, min_size=1, max_size=4).map(lambda parts: [token for part in parts for token in part])
many = st.lists(prompts, min_size=1, max_size=8)
# How many tokens a prompt takes of the bundle's head before it goes its own way.
of_the_head = st.sampled_from([0, 1, 39, 54, 1000])


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(of_the_head, prompts), min_size=1, max_size=8), budget=st.integers(1, 400))
def test_a_score_is_the_same_alone_shared_padded_and_in_pieces(
    session: Session, rows: list[tuple[int, Prompt]], budget: int
) -> None:
    assert session.prefix is not None
    ids = [np.array([*session.prefix.ids[:start], *own], np.int32) for start, own in rows]
    together = score_prompts(session, ids, 0, budget)
    alone = [score_prompts(Session(session.runtime, "cpu", session.prefix), [prompt], 0)[0] for prompt in ids]
    np.testing.assert_allclose(together, alone, atol=1e-6)


class Counting:
    """A runtime that notes how many tokens its largest run had."""

    def __init__(self, runtime: Any) -> None:
        self.runtime, self.most = runtime, 0

    def run(self, outputs: list[str], feed: dict[str, Any], options: None) -> Any:
        self.most = max(self.most, feed["input_ids"].size)
        return self.runtime.run(outputs, feed)


@settings(max_examples=20, deadline=None)
@given(query=st.integers(1, 300), rows=st.integers(1, 20), budget=st.integers(8, 100))
def test_no_run_has_more_tokens_than_the_budget_however_long_a_query_is(
    session: Session, query: int, rows: int, budget: int
) -> None:
    assert session.prefix is not None
    beginning = np.concatenate([session.prefix.ids, np.arange(query, dtype=np.int32)])
    runtime = Counting(session.runtime)
    score_prompts(
        Session(runtime, "cpu", session.prefix), [np.append(beginning, row) for row in range(rows)], 0, budget
    )  # type: ignore[arg-type]
    assert runtime.most <= budget


def test_equal_prompts_have_equal_scores_and_are_run_once(session: Session) -> None:
    runtime = Counting(session.runtime)
    prompts = [np.arange(length, dtype=np.int32) for length in (40, 7, 40, 23, 40, 7)]
    scores = score_prompts(Session(runtime, "cpu"), prompts, 0)  # type: ignore[arg-type]
    assert scores[0] == scores[2] == scores[4] and scores[1] == scores[5]
    assert runtime.most == 3 * 40  # one batch, padded


class Watching(Session):
    """A session that notes how many pasts of its making there are at most at a time."""

    made: ClassVar[list[ReferenceType[PrefixKV]]] = []
    most: ClassVar[int] = 0

    def past_of(self, ids: TokenIds, before: PrefixKV | None = None) -> PrefixKV:
        past = super().past_of(ids, before)
        Watching.made.append(ref(past))
        Watching.most = max(Watching.most, sum(past() is not None for past in Watching.made))
        return past


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("deeper", [1, 2])
def test_few_pasts_are_in_memory_however_deep_the_sharing(session: Session, deeper: int, at_once: int) -> None:
    """At every level three prompts end, after 40 more tokens that they share; int8 differs from piece to piece."""
    Watching.made, Watching.most = [], 0
    stem, prompts = np.zeros(0, np.int32), list[TokenIds]()
    for _ in range(8):
        prompts += [np.r_[stem, np.full(40, 3 - deeper), end].astype(np.int32) for end in (5, 6, 7)]
        stem = np.r_[stem, np.full(40, deeper)].astype(np.int32)
    scores = score_prompts(Watching(session.runtime, "cpu", session.prefix, at_once), prompts, 0)
    assert len(Watching.made) > 12 and Watching.most <= 3 + at_once
    np.testing.assert_allclose(scores, [score_prompts(session, [prompt], 0)[0] for prompt in prompts], atol=2e-3)


def _path(session: Session) -> str:
    return str(session.runtime._model_path)


@pytest.fixture(scope="module")
def many_queries(folder: Path) -> tuple[list[TokenIds], NDArray[np.float64]]:
    """Head, queries and candidates as in terminology mapping, of which the plan has three levels, and their scores."""
    rng = np.random.default_rng(0)
    head, *queries = (rng.integers(0, VOCABULARY, length) for length in (50, 20, 25, 3))
    prompts = [
        np.concatenate([head, query, rng.integers(0, VOCABULARY, rng.integers(5, 20))]).astype(np.int32)
        for query in queries
        for _ in range(10)
    ]
    logits = [vector.logits for vector in float32_logits(open_checkpoint(str(folder)), prompts)]
    return prompts, probability_of_yes(np.array(logits, np.float32))


def test_scores_are_transformers_for_many_queries(
    session: Session, many_queries: tuple[list[TokenIds], NDArray[np.float64]]
) -> None:
    prompts, expected = many_queries
    tolerance = 1e-5 if "fp32" in _path(session) else 0.05
    np.testing.assert_allclose(score_prompts(session, prompts, 0), expected, atol=tolerance)


def test_the_graph_for_cuda_which_joins_pasts_itself_shares_as_well(
    folder: Path, tmp_path: Path, many_queries: tuple[list[TokenIds], NDArray[np.float64]]
) -> None:
    prompts, expected = many_queries
    session = open_session(export_checkpoint(str(folder), tmp_path / "bundle", precision="fp16", graph="cuda"), "cpu")
    np.testing.assert_allclose(score_prompts(session, prompts, 0), expected, atol=5e-3)


@settings(max_examples=200)
@given(rows=many, run_cost=st.integers(0, 40))
def test_a_plan_has_every_prompt_once_under_tokens_that_it_starts_with(rows: list[Prompt], run_cost: int) -> None:
    found: list[int] = []

    def walk(part: PrefixNode, start: int) -> list[int]:
        below = part.prompts + [index for inner in part.parts for index in walk(inner, part.stop)]
        assert start <= part.stop
        assert len({tuple(rows[index][: part.stop]) for index in below}) == 1
        assert all(part.stop < len(rows[index]) for index in below)
        if start < part.stop:
            assert (len(below) - 1) * (part.stop - start) > 2 * run_cost
        found.extend(part.prompts)
        return below

    walk(prefix_tree([np.array(row, np.int32) for row in rows], range(len(rows)), run_cost=run_cost), 0)
    assert sorted(found) == list(range(len(rows)))


def test_the_plan_for_queries_with_candidates_shares_the_head_and_each_query() -> None:
    head, queries = [1] * 40, ([2] * 20, [3] * 20)
    rows = [np.array([*head, *query, 10 + i, 99], np.int32) for query in queries for i in range(10)]
    root = prefix_tree(rows, range(len(rows)))
    (head_part,) = root.parts
    assert head_part.stop == 40
    assert sorted((part.stop, sorted(part.prompts)) for part in head_part.parts) == [
        (60, list(range(10))),
        (60, list(range(10, 20))),
    ]


def test_the_next_query_begins_where_the_last_one_differs(session: Session) -> None:
    first, second = np.arange(60, dtype=np.int32), np.r_[np.arange(40), 7, 8, 9].astype(np.int32)
    session.past_of(first)
    after_another = session.past_of(second)
    fresh = Session(session.runtime, "cpu", session.prefix).past_of(second)
    np.testing.assert_allclose(after_another.keys_values, fresh.keys_values, atol=1e-4)
    assert len(after_another.ids) == 43


def test_what_goes_wrong_in_one_of_several_batches_is_raised(session: Session) -> None:
    prompts = [np.arange(number, number + 100, dtype=np.int32) for number in range(20)]
    prompts[7][50] = 10 * VOCABULARY
    with pytest.raises(Exception, match="indices"):
        score_prompts(replace(session, at_once=2), prompts, 0, 100)


def test_a_past_can_be_cut_and_joined_again() -> None:
    random = np.random.default_rng(0)
    ids, keys_values = random.integers(0, 9, 5, np.int32), random.normal(size=(3, 2, 4, 5, 6)).astype(np.float32)
    whole = PrefixKV(ids, keys_values)
    for length in range(5):
        first = whole.first(length)
        assert first.ids.tolist() == ids[:length].tolist()
        np.testing.assert_array_equal(first.keys_values, keys_values[..., :length, :])
        again = first.followed_by(ids, keys_values[..., length:, :])
        assert again.ids is ids
        np.testing.assert_array_equal(again.keys_values, keys_values)


def test_common_length() -> None:
    assert common_length(np.array([1, 2, 3]), np.array([1, 2, 4, 5])) == 2
    assert common_length(np.array([1, 2]), np.array([1, 2, 4])) == 2
    assert common_length(np.array([], np.int32), np.array([1])) == 0
