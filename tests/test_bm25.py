"""BM25 scores are rank-bm25's, on words split at single spaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from aatm_onnx import BM25Reranker

texts = st.lists(st.sampled_from(["", "pain", "Pain", "knee", "left", "of", "the"]), max_size=5).map(" ".join)


@given(texts, st.lists(texts, min_size=1, max_size=8))
def test_scores_are_those_of_rank_bm25(query: str, documents: list[str]) -> None:
    expected = BM25Okapi([document.split(" ") for document in documents]).get_scores(query.split(" "))
    assert BM25Reranker().score(query, documents) == expected.tolist()


@pytest.mark.parametrize("documents", [["", ""], ["zzz", "yyy"], [" "], ["pain"]])
def test_empty_and_unknown_words_do_not_divide_by_zero(documents: list[str]) -> None:
    assert len(BM25Reranker().score("knee", documents)) == len(documents)
    assert len(BM25Reranker().score("", documents)) == len(documents)
