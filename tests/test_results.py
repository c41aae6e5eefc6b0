"""Retriever results in, the same object out: laws that hold for every reranker, checked on BM25."""

import copy
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aatm_onnx import (
    BM25Reranker,
    InputTypeError,
    PairScore,
    PipelineBaseClass,
    Reranker,
    RetrievedExpressionMetadata,
    RetrieverResults,
)
from aatm_onnx.reranker import Documents

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
texts = st.lists(words, max_size=5).map(" ".join)
groups = st.lists(st.tuples(texts, st.lists(texts, max_size=6)), max_size=5)


def results_of(pairs: list[tuple[str, list[str]]]) -> RetrieverResults:
    return RetrieverResults(
        [query for query, _ in pairs], [[RetrievedExpressionMetadata(text) for text in found] for _, found in pairs]
    )


@given(groups)
def test_rerank_sorts_in_place_and_ties_keep_the_retrievers_order(pairs: list[tuple[str, list[str]]]) -> None:
    given_results = results_of(pairs)
    items_before = [list(candidates) for candidates in given_results.results]
    lists_before = list(given_results.results)
    assert BM25Reranker().rerank(given_results) is given_results
    for candidates, same, before in zip(given_results.results, lists_before, items_before, strict=True):
        assert candidates is same
        order = {id(item): index for index, item in enumerate(before)}
        assert sorted(map(id, candidates)) == sorted(order)
        keys = [(-item.rerank_score, order[id(item)]) for item in candidates]  # type: ignore[operator]
        assert keys == sorted(keys)


class SharedWords(Reranker):
    """Scores that depend on the pair alone; BM25's last bits depend on its corpus's order too."""

    def _score_pairs(
        self, queries: Sequence[str], documents: Documents, tasks: Sequence[str | None], truncate: bool, first: int = 0
    ) -> list[list[PairScore]]:
        return [
            [PairScore(float(len(set(query.split()) & set(text.split())))) for text in found]
            for query, found in zip(queries, documents, strict=True)
        ]


@given(groups)
def test_reranking_again_changes_nothing(pairs: list[tuple[str, list[str]]]) -> None:
    once = SharedWords().rerank(results_of(pairs))
    again = SharedWords().rerank(copy.deepcopy(once))
    assert again == once


@given(texts, st.lists(texts, min_size=1, max_size=8))
def test_rank_agrees_with_score(query: str, documents: list[str]) -> None:
    scores = BM25Reranker().score(query, documents)
    ranking = BM25Reranker().rank(query, documents)
    assert [scores[index] for index, _, _ in ranking] == sorted(scores, reverse=True)
    assert all(row.document == documents[row.index] and row.score == scores[row.index] for row in ranking)
    assert BM25Reranker().rank(query, documents, top_k=2) == ranking[:2]


def test_nothing_to_rerank_is_fine() -> None:
    assert BM25Reranker().rerank(RetrieverResults([], [])) == RetrieverResults([], [])
    assert BM25Reranker().rerank(results_of([("query", [])])) == results_of([("query", [])])
    assert BM25Reranker().score("query", []) == []


def test_any_mutable_sequence_of_candidates_can_be_reordered() -> None:
    items = [RetrievedExpressionMetadata(text) for text in ("x", "a b", "a")]
    results = SimpleNamespace(queries=["a b"], results=[deque(items)])
    assert [item.expression for item in SharedWords().rerank(results).results[0]] == ["a b", "a", "x"]


def test_a_list_or_candidate_under_two_queries_is_refused_and_nothing_changes() -> None:
    shared, own = RetrievedExpressionMetadata("a b"), RetrievedExpressionMetadata("b")
    one_list = [shared, own]
    for results, message in (
        ([one_list, one_list], "query 0 and query 1 are the same list"),
        ([[own], [shared, own]], "candidate 1 of query 1 is the same object as one of query 0"),
    ):
        given_results = RetrieverResults(["a", "b"], results)
        before = copy.deepcopy(given_results)
        with pytest.raises(ValueError, match=message):
            SharedWords().rerank(given_results)
        assert given_results == before


def test_a_candidate_twice_under_one_query_has_one_score() -> None:
    twice = RetrievedExpressionMetadata("a b")
    SharedWords().rerank(RetrieverResults(["a b"], [[twice, twice]]))
    assert twice.rerank_score == 2


def test_what_is_not_a_list_of_texts_is_refused_with_what_to_pass_instead() -> None:
    frame = pandas.DataFrame({"name": ["a", "b"]})
    for documents, message in (
        (frame, "DataFrame; pass one of its columns"),
        ({"name": "a"}, r"dict; pass list\(it.values\(\)\)"),
        ({"a", "b"}, "set, which has no order"),
        (b"a", "not one string"),
        (3, "must be a list of strings, not int"),
    ):
        with pytest.raises(ValueError, match=message):
            BM25Reranker().score("a", documents)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=rf"The documents of query 1.*{message}"):
            BM25Reranker().score_pairs(["a", "b"], [["a"], documents])  # type: ignore[list-item]
        with pytest.raises(ValueError, match=r"The queries.*list of strings"):
            BM25Reranker().rank_many(documents, [["a"], ["b"]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"The documents of all queries.*DataFrame"):
        BM25Reranker().score_pairs(["a"], frame)
    assert BM25Reranker().score("a", frame["name"]) == BM25Reranker().score("a", ["a", "b"])
    assert BM25Reranker().score("a", frame["name"].to_numpy()) == BM25Reranker().score("a", ["a", "b"])


@pytest.mark.parametrize("queries", [pandas.Series(["a"]), np.array(["a"]), "a", {"a"}])
def test_queries_that_are_not_a_list_are_named(queries: Any) -> None:
    with pytest.raises(InputTypeError, match=r"its `queries` a list, not .*; pass list\(\.\.\.\) of it"):
        BM25Reranker().rerank(RetrieverResults(queries, [[RetrievedExpressionMetadata("a")]]))


@pytest.mark.parametrize("wrong", [None, "text", 3, ["query"], {"queries": [], "results": []}, object()])
def test_a_wrong_type_is_an_assertion_error_and_a_type_error(wrong: Any) -> None:
    with pytest.raises(AssertionError, match="must be of type RetrieverResults"):
        BM25Reranker()(wrong)
    with pytest.raises(TypeError):
        BM25Reranker()(wrong)
    assert issubclass(InputTypeError, AssertionError)


def test_a_missing_expression_is_named_and_nothing_changes() -> None:
    results = results_of([("a b", ["b", "a"]), ("c", ["x", "c"])])
    results.results[1][1].expression = None  # type: ignore[assignment]
    before = copy.deepcopy(results)
    with pytest.raises(ValueError, match="candidate 1 of query 1"):
        BM25Reranker().rerank(results)
    assert results == before


def test_queries_and_results_of_different_lengths_are_refused() -> None:
    results = results_of([("a", ["b"])])
    results.queries.append("c")
    with pytest.raises(ValueError, match="2 queries but 1 lists"):
        BM25Reranker().rerank(results)


def test_half_a_surrogate_pair_is_named() -> None:
    with pytest.raises(ValueError, match="Document 1 is not valid Unicode"):
        BM25Reranker().score("a", ["fine", "\ud800"])


def test_one_string_is_not_a_list_of_documents() -> None:
    with pytest.raises(ValueError, match="not one string"):
        BM25Reranker().score("query", "document")


@pytest.mark.parametrize("top_k", [0, -1, "2", 1.5, True])
def test_top_k_that_is_not_a_number_of_documents_is_refused(top_k: Any) -> None:
    with pytest.raises(ValueError, match="top_k"):
        BM25Reranker().rank("a", ["a"], top_k=top_k)


@dataclass
class Stubborn:
    """An item that takes no score a second time."""

    expression: str
    refuses: bool = False
    _score: float | None = None

    @property
    def rerank_score(self) -> float | None:
        return self._score

    @rerank_score.setter
    def rerank_score(self, score: float | None) -> None:
        if self.refuses and score is not None:
            raise RuntimeError("no")
        self._score = score


def test_an_item_that_refuses_its_score_leaves_everything_as_it_was() -> None:
    items = [[Stubborn("x"), Stubborn("a")], [Stubborn("y"), Stubborn("b", refuses=True)]]
    results = RetrieverResults(["a", "b"], [list(group) for group in items])  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        BM25Reranker().rerank(results)
    for before, after in zip(items, results.results, strict=True):
        assert [id(item) for item in before] == [id(item) for item in after]
        assert [item.rerank_score for item in after] == [None, None]


def test_pipelines_compose_with_a_bar() -> None:
    class Collect(PipelineBaseClass):
        def __call__(self, input: Any, *args: Any, **kwargs: Any) -> Any:
            return [[item.expression for item in group] for group in input.results]

    results = results_of([("a b", ["x", "b a", "a"])])
    assert (results | BM25Reranker() | Collect()) == [["b a", "a", "x"]]
    step = PipelineBaseClass()
    assert step(5) == 5
    assert (5 | step) == 5
    assert (step | str) == str(step)
