"""What prompts share is run once, and no score shows it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aatm_onnx_export import export_checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aatm_onnx.bundle import open_bundle
from aatm_onnx.models import find_bundle
from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.kv_cache import PrefixCache, PrefixKV
from aatm_onnx.runtime.scoring import probability_of_yes, prompt_logits, score_prompts
from aatm_onnx.runtime.session import Session, open_session

from .checkpoints import VOCABULARY, float32_logits, make_checkpoint

Prompt = list[int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose scores spread over most of (0, 1)."""
    return make_checkpoint(tmp_path_factory.mktemp("sharing") / "checkpoint", spread=0.1)


@pytest.fixture(scope="module", params=["fp32", "int8"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def session(precision: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session over a fused graph, with five threads, so five batches side by side, on any machine."""
    output = tmp_path_factory.mktemp(precision) / "bundle"
    min_tau = -1 if precision == "int8" else None  # its weights are random, and so is their order
    bundle = export_checkpoint(str(folder), output, precision=precision, min_tau=min_tau)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aatm_onnx.runtime.session.usable_cpus", lambda: 5)
        opened = open_session(bundle, "cpu")
    assert opened.workers == 5
    return opened


# A few tokens and long repeats make for many ways to share: nested, empty, whole prompts equal or within each other.
repeats = st.builds(lambda token, times: [token] * times, st.integers(0, 3), st.integers(1, 50))
prompts = st.lists(repeats, min_size=1, max_size=4).map(lambda parts: [token for part in parts for token in part])
# How many tokens a prompt takes of the bundle's prefix before it goes its own way.
of_the_prefix = st.sampled_from([0, 1, 39, 54, 1000])


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(of_the_prefix, prompts), min_size=1, max_size=8), budget=st.integers(1, 400))
def test_a_score_is_the_same_alone_shared_padded_and_in_chunks(
    session: Session, rows: list[tuple[int, Prompt]], budget: int
) -> None:
    assert session.prefix is not None
    ids = [np.array([*session.prefix.ids[:start], *own], np.int32) for start, own in rows]
    together = score_prompts(session, ids, 0, budget)
    alone = [score_prompts(session, [prompt], 0)[0] for prompt in ids]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(calls=st.lists(st.lists(prompts, min_size=1, max_size=4), min_size=2, max_size=4), room=st.integers(0, 200))
def test_a_score_does_not_show_what_was_scored_before(session: Session, calls: list[list[Prompt]], room: int) -> None:
    cache = PrefixCache(room)
    for rows in calls:
        ids = [np.array(row, np.int32) for row in rows]
        with_history = probability_of_yes(prompt_logits(session, ids, 0, cache=cache))
        np.testing.assert_allclose(with_history, score_prompts(session, ids, 0), atol=1e-6)


class Counting:
    """A runtime that notes how many tokens its runs had."""

    def __init__(self, runtime: Any) -> None:
        self.runtime, self.sizes = runtime, list[int]()

    @property
    def most(self) -> int:
        return max(self.sizes)

    def run(self, outputs: list[str], feed: dict[str, Any], options: None) -> Any:
        self.sizes.append(feed["input_ids"].size)
        return self.runtime.run(outputs, feed)

    def run_async(self, outputs: list[str], feed: dict[str, Any], *arguments: Any) -> None:
        self.sizes.append(feed["input_ids"].size)
        self.runtime.run_async(outputs, feed, *arguments)


@settings(max_examples=20, deadline=None)
@given(query=st.integers(1, 300), rows=st.integers(1, 20), budget=st.integers(8, 100))
def test_no_run_has_more_tokens_than_the_budget_however_long_a_query_is(
    session: Session, query: int, rows: int, budget: int
) -> None:
    assert session.prefix is not None
    beginning = np.concatenate([session.prefix.ids, np.arange(query, dtype=np.int32)])
    runtime = Counting(session.runtime)
    counted = replace(session, runtime=runtime)  # type: ignore[arg-type]
    score_prompts(counted, [np.append(beginning, row) for row in range(rows)], 0, budget)
    assert runtime.most <= budget


def test_a_single_pair_runs_no_token_of_the_bundles_prefix(session: Session) -> None:
    assert session.prefix is not None and len(session.prefix.ids) > 50
    runtime = Counting(session.runtime)
    counted = replace(session, runtime=runtime)  # type: ignore[arg-type]
    score_prompts(counted, [np.r_[session.prefix.ids, np.arange(5, dtype=np.int32)]], 0)
    assert runtime.most == 5


@pytest.mark.parametrize(("workers", "runs"), [(1, [7 * 25]), (2, [4 * 25, 4 * 25])])
def test_a_query_is_run_together_with_its_candidates_and_kept_for_the_next_call(
    session: Session, workers: int, runs: list[int]
) -> None:
    assert session.prefix is not None and session.leads
    query = np.r_[session.prefix.ids, np.arange(20, dtype=np.int32)]
    ids = [np.r_[query, np.arange(row, row + 25, dtype=np.int32)] for row in range(6)]
    runtime, cache = Counting(session.runtime), PrefixCache(200)
    counted = replace(session, runtime=runtime, workers=workers)  # type: ignore[arg-type]
    together = prompt_logits(counted, ids, 0, cache=cache)
    assert runtime.sizes == runs
    np.testing.assert_allclose(together, prompt_logits(replace(session, leads=False), ids, 0), atol=1e-5)
    again = prompt_logits(counted, ids[:5], 0, cache=cache)
    assert sum(runtime.sizes[len(runs) :]) == 5 * 25
    np.testing.assert_allclose(again, together[:5], atol=1e-5)


def test_equal_prompts_have_equal_scores_and_are_run_once(session: Session) -> None:
    runtime = Counting(session.runtime)
    ids = [np.arange(length, dtype=np.int32) for length in (40, 7, 40, 23, 40, 7)]
    without_prefixes = replace(session, runtime=runtime, workers=1)  # type: ignore[arg-type]
    scores = score_prompts(without_prefixes, ids, 0)
    assert scores[0] == scores[2] == scores[4] and scores[1] == scores[5]
    assert runtime.most == 3 * 40  # one batch, padded


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("deeper", [1, 2])
def test_scores_are_right_however_deep_prompts_share(session: Session, deeper: int, workers: int) -> None:
    """At every level three prompts end, after 40 more tokens that they share; int8 differs from chunk to chunk."""
    stem, ids = np.zeros(0, np.int32), list[TokenIds]()
    for _ in range(8):
        ids += [np.r_[stem, np.full(40, 3 - deeper), end].astype(np.int32) for end in (5, 6, 7)]
        stem = np.r_[stem, np.full(40, deeper)].astype(np.int32)
    scores = score_prompts(replace(session, workers=workers), ids, 0)
    np.testing.assert_allclose(scores, [score_prompts(session, [prompt], 0)[0] for prompt in ids], atol=2e-3)


@pytest.fixture(scope="module")
def many_queries(folder: Path) -> tuple[list[TokenIds], NDArray[np.float64]]:
    """Queries and candidates as in terminology mapping, with three levels of shared prefixes, and their scores."""
    rng = np.random.default_rng(0)
    prompt, *queries = (rng.integers(0, VOCABULARY, length) for length in (50, 20, 25, 3))
    ids = [
        np.concatenate([prompt, query, rng.integers(0, VOCABULARY, rng.integers(5, 20))]).astype(np.int32)
        for query in queries
        for _ in range(10)
    ]
    return ids, probability_of_yes(float32_logits(folder, ids))


def test_scores_are_transformers_for_many_queries(
    session: Session, precision: str, many_queries: tuple[list[TokenIds], NDArray[np.float64]]
) -> None:
    ids, expected = many_queries
    tolerance = 1e-5 if precision == "fp32" else 0.05
    np.testing.assert_allclose(score_prompts(session, ids, 0), expected, atol=tolerance)


def test_the_graph_for_cuda_which_joins_pasts_itself_shares_as_well(
    folder: Path, tmp_path: Path, many_queries: tuple[list[TokenIds], NDArray[np.float64]]
) -> None:
    ids, expected = many_queries
    session = open_session(export_checkpoint(str(folder), tmp_path / "bundle", precision="fp16", graph="cuda"), "cpu")
    np.testing.assert_allclose(score_prompts(session, ids, 0), expected, atol=5e-3)


def test_the_next_query_begins_where_the_last_one_differs(session: Session) -> None:
    first, second = np.arange(60, dtype=np.int32), np.r_[np.arange(40), 7, 8, 9].astype(np.int32)
    assert session.prefix is not None
    nothing = session.prefix.first(0)
    after_another = session.extend(session.extend(nothing, first).first(40), second)
    fresh = session.extend(nothing, second)
    np.testing.assert_allclose(after_another.keys_values, fresh.keys_values, atol=1e-4)
    assert len(after_another.ids) == 43


def test_a_cache_smaller_than_what_prompts_share_keeps_its_first_tokens(session: Session) -> None:
    cache, ids = PrefixCache(20), [np.r_[np.arange(60), end].astype(np.int32) for end in range(70, 90)]
    expected = prompt_logits(session, ids, 0)
    for _ in range(2):  # the second time it is begun with
        np.testing.assert_allclose(prompt_logits(session, ids, 0, cache=cache), expected, atol=1e-4)
        assert [prefix.ids.tolist() for prefix in cache.prefixes()] == [list(range(20))]


@pytest.mark.parametrize("batch", range(4))
def test_what_goes_wrong_in_one_of_several_batches_is_raised(session: Session, batch: int) -> None:
    """Here, or in a thread of the session's own; and the session runs on."""
    ids = [np.arange(number, number + 100, dtype=np.int32) for number in range(4)]
    right = score_prompts(session, [each.copy() for each in ids], 0, 100)
    ids[batch][50] = 10 * VOCABULARY
    with pytest.raises(Exception, match="indices"):
        score_prompts(session, ids, 0, 100)
    ids[batch][50] = batch + 50
    assert score_prompts(session, ids, 0, 100) == right


def test_a_prefix_can_be_cut_and_joined_again() -> None:
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


@given(added=st.lists(prompts, max_size=10), room=st.integers(0, 120))
def test_a_cache_keeps_within_its_room_the_latest_first_and_none_within_another(added: list[Prompt], room: int) -> None:
    cache = PrefixCache(room)
    for ids in added:
        cache.add(PrefixKV(np.array(ids, np.int32), np.zeros((1, 2, 1, len(ids), 4), np.float32)))
    kept = [prefix.ids.tolist() for prefix in cache.prefixes()]
    assert sum(map(len, kept)) <= room
    assert not any(a == b[: len(a)] for row, a in enumerate(kept) for b in kept[:row] + kept[row + 1 :])
    fitting = [ids for ids in added if len(ids) <= room]
    assert not fitting or kept[0][: len(fitting[-1])] == fitting[-1]


def test_a_bundles_prefix_is_read_only_if_the_manifest_lists_it(folder: Path, tmp_path: Path) -> None:
    plain = open_bundle(shutil.copytree(find_bundle(), tmp_path / "plain"))
    assert plain.prefix_kv_path is None
    other = export_checkpoint(str(folder), tmp_path / "int8", precision="int8", min_tau=-1)
    assert other.prefix_kv_path is not None
    ids = [np.arange(30, dtype=np.int32)]
    before = score_prompts(open_session(plain, "cpu"), ids, 0)
    (plain.path / other.prefix_kv_path.name).write_bytes(other.prefix_kv_path.read_bytes())
    session = open_session(open_bundle(plain.path), "cpu")
    assert session.prefix is not None and not len(session.prefix.ids)
    assert score_prompts(session, ids, 0) == before
