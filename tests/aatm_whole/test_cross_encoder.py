"""sentence-transformers' own CrossEncoder, which aatm brings, beside ours: the same calls, the same results."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers

from aatm_onnx.integrations.cross_encoder import CrossEncoder

QUERY = "kidney stones"
DOCUMENTS = ["Gallstones", "Nephrolithiasis", "Renal cyst", "Stones in the kidney pelvis"]
PAIRS = [(QUERY, document) for document in DOCUMENTS] + [("wt loss", "Weight loss")]


@pytest.fixture(scope="module")
def ours(checkpoint: Path) -> CrossEncoder:
    return CrossEncoder("qwen3-reranker-0.6b", provider="cpu")


@pytest.fixture(scope="module")
def theirs(checkpoint: Path, ours: CrossEncoder) -> Any:
    """It opens the checkpoint itself, and is given our prompt as its chat template."""
    reranker: Any = ours.reranker
    query, document = (
        f'{{{{ messages | selectattr("role", "eq", "{role}") | map(attribute="content") | first }}}}'
        for role in ("query", "document")
    )
    around = [f"{{{{ {json.dumps(text)} }}}}" for text in (reranker.prefix, reranker.suffix)]  # keeps its line ends
    prompt = reranker.format_instruction(reranker.task, query, document).join(around)
    return sentence_transformers.CrossEncoder(str(checkpoint), device="cpu", processor_kwargs={"chat_template": prompt})


def test_predict_gives_the_same_scores_in_the_same_form(ours: CrossEncoder, theirs: Any) -> None:
    for inputs in (PAIRS, [list(pair) for pair in PAIRS], np.array(PAIRS), PAIRS[:1]):
        expected, scores = (model.predict(inputs, batch_size=3, show_progress_bar=False) for model in (theirs, ours))
        assert isinstance(scores, np.ndarray)
        assert (scores.dtype, scores.shape) == (expected.dtype, expected.shape)
        assert np.abs(scores - expected).max() <= 1e-5
        assert len(inputs) == 1 or np.std(expected) > 1e-3
    single, expected = (model.predict(PAIRS[1]) for model in (ours, theirs))
    assert type(single) is type(expected) and single == pytest.approx(expected, abs=1e-5)
    assert ours.predict([]).shape == theirs.predict([]).shape


def test_rank_gives_the_same_list(ours: CrossEncoder, theirs: Any) -> None:
    for options in ({}, {"top_k": 2}, {"top_k": 9, "return_documents": True}):
        expected = theirs.rank(QUERY, DOCUMENTS, **options)
        assert ours.rank(QUERY, DOCUMENTS, **options) == [
            each | {"score": pytest.approx(each["score"], abs=1e-5)} for each in expected
        ]


@pytest.mark.parametrize("method", ["predict", "rank"])
def test_every_argument_of_theirs_is_taken(ours: CrossEncoder, method: str) -> None:
    parameters = list(inspect.signature(getattr(sentence_transformers.CrossEncoder, method)).parameters.values())[1:]
    defaults = {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}
    named = {"inputs": PAIRS} if method == "predict" else {"query": QUERY, "documents": DOCUMENTS}
    assert len(getattr(ours, method)(**named, **defaults)) in (len(PAIRS), len(DOCUMENTS))
