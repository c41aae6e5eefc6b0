"""sentence-transformers' shape, called as BEIR calls it."""

import numpy as np
import pytest
from beir.reranking import Rerank

from aatm_onnx import Qwen3Reranker
from aatm_onnx.integrations.cross_encoder import CrossEncoder

from .conftest import CANDIDATES, QUERY

Ranked = list[tuple[int, float, str]]


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder(provider="cpu")


def test_beir_reranks_with_it(model: CrossEncoder, ranked: Ranked) -> None:
    corpus = {f"d{index}": {"title": "", "text": text} for index, text in enumerate(CANDIDATES)}
    queries = {"q1": QUERY, "q2": "head ache"}
    found = {query: {document: 1 / (1 + place) for place, document in enumerate(corpus)} for query in queries}
    scores = Rerank(model, batch_size=4).rerank(corpus, queries, found, top_k=10)
    assert sorted(scores["q1"], key=scores["q1"].__getitem__, reverse=True) == [f"d{index}" for index, _, _ in ranked]
    assert max(scores["q2"], key=scores["q2"].__getitem__) == "d5"


def test_pairs_may_come_in_any_order(model: CrossEncoder) -> None:
    pairs = [(query, text) for text in CANDIDATES for query in ("head ache", QUERY)]
    scores = model.predict(pairs, batch_size=3, show_progress_bar=False)
    assert scores.dtype == np.float32 and scores.shape == (12,)
    reranker = Qwen3Reranker(provider="cpu")
    assert np.allclose(scores[::2], reranker.score("head ache", CANDIDATES), atol=1e-6)
    assert np.allclose(scores[1::2], reranker.score(QUERY, CANDIDATES), atol=1e-6)


def test_a_single_pair_gives_a_single_number(model: CrossEncoder, ranked: Ranked) -> None:
    assert model.predict((QUERY, ranked[0][2])) == pytest.approx(ranked[0][1], abs=1e-6)
    assert model.predict([]).shape == (0,)
    two = model.predict([(QUERY, "Renal cyst"), (QUERY, "Gallstones")])
    assert two.shape == (2,)


def test_rank_is_theirs(model: CrossEncoder, ranked: Ranked) -> None:
    assert model.rank(QUERY, CANDIDATES, top_k=2, return_documents=True) == [
        {"corpus_id": index, "score": pytest.approx(score, abs=1e-6), "text": text} for index, score, text in ranked[:2]
    ]
    assert set(model.rank(QUERY, CANDIDATES)[0]) == {"corpus_id", "score"}


def test_what_it_cannot_do_is_refused(model: CrossEncoder) -> None:
    with pytest.raises(ValueError, match="apply_softmax is not supported"):
        model.predict([(QUERY, "a")], apply_softmax=True)
    with pytest.raises(ValueError, match="activation_fn is not supported"):
        model.rank(QUERY, ["a"], activation_fn=np.tanh)
    with pytest.raises(ValueError, match="Pair 1 must be two strings"):
        model.predict([(QUERY, "a"), (QUERY, None)])
