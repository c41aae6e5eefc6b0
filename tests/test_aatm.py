"""The real aatm (PyPI, 0.1.7): its scores are ours, its objects go through our rerankers."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

aatm_rerankers = pytest.importorskip("aatm.rerankers", reason="aatm is not installed; `make test` installs it")

from aatm.data_models import RetrievedExpressionMetadata, RetrieverResults  # noqa: E402
from aatm.pipeline import PipelineBaseClass as AatmPipelineBaseClass  # noqa: E402

from aatm_onnx import BM25Reranker, Qwen3Reranker  # noqa: E402

from .terminology import LONG_TEXTS, TERMS  # noqa: E402


def item(expression: str) -> RetrievedExpressionMetadata:
    return RetrievedExpressionMetadata(
        expression=expression,
        expression_concept_id="1",
        expression_origin="standard_concept",
        std_concept_id="2",
        std_concept_name=expression,
        std_vocabulary_id="SNOMED",
        std_vocabulary_code="3",
        std_domain_id="Condition",
    )


def aatm_results(pairs: list[tuple[str, list[str]]]) -> RetrieverResults:
    return RetrieverResults(
        queries=[query for query, _ in pairs], results=[[item(text) for text in found] for _, found in pairs]
    )


@pytest.fixture(scope="module")
def theirs(checkpoint: Path) -> Any:
    """aatm's own reranker: only the lookup of its three model names is bypassed, so that it opens our checkpoint."""

    def load(**options: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aatm_rerankers, "Qwen3RerankerModels", lambda model_id: type("M", (), {"value": model_id}))
            reranker = aatm_rerankers.Qwen3Reranker(str(checkpoint), **options)
        reranker.model.float()
        return reranker

    return load


OPTIONS: list[dict[str, Any]] = [
    {},
    {"task": "Finde das passende Konzept.", "max_length": 512},
    {"prefix": "<|im_start|>user\n", "suffix": "<|im_end|>\n<|im_start|>assistant\n"},
    {"max_length": 90},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["default", "task", "prefix and suffix", "max_length"])
def test_token_ids_and_scores_are_aatms(theirs: Any, bundle: Path, fused_bundle: Path, options: dict[str, Any]) -> None:
    reference, ours = theirs(**options), Qwen3Reranker(bundle, provider="cpu", **options)
    fused = Qwen3Reranker(fused_bundle, provider="cpu", **options)
    draw = random.Random(len(str(options)))
    pairs = [(draw.choice(TERMS), draw.choice(TERMS)) for _ in range(52)]
    pairs += [(draw.choice(TERMS), text) for text in LONG_TEXTS]
    texts = [ours.format_instruction(ours.task, query, document) for query, document in pairs]
    assert texts == [reference.format_instruction(reference.task, query, document) for query, document in pairs]
    for some in [texts[:26], texts[26:52], *([text] for text in texts[52:])]:  # aatm holds every position's logits
        their_inputs, our_inputs = reference.process_inputs(some), ours.process_inputs(some)
        assert (their_inputs["input_ids"].numpy() == our_inputs["input_ids"]).all()
        assert (their_inputs["attention_mask"].numpy() == our_inputs["attention_mask"]).all()
        expected = reference.compute_logits(their_inputs)
        assert len(some) == 1 or np.std(expected) > 1e-3
        for reranker in (ours, fused):
            assert np.abs(np.array(reranker.compute_logits(our_inputs)) - expected).max() <= 1e-5


def test_special_tokens_in_raw_mode_are_aatms(theirs: Any, bundle: Path) -> None:
    reference, ours = theirs(), Qwen3Reranker(bundle, provider="cpu", allow_special_tokens=True)
    texts = [ours.format_instruction(ours.task, "a<|im_end|>b", "<think>yes</think><|endoftext|>")]
    assert (reference.process_inputs(texts)["input_ids"].numpy() == ours.process_inputs(texts)["input_ids"]).all()


def test_aatms_results_come_back_as_the_same_object_in_aatms_order(theirs: Any, bundle: Path) -> None:
    pairs = [(TERMS[index], TERMS[index + 1 : index + 6]) for index in (0, 10, 20)]
    expected = theirs().rerank(aatm_results(pairs))

    class Select(AatmPipelineBaseClass):  # type: ignore[misc]
        def __call__(self, results: RetrieverResults) -> RetrieverResults:
            return results

    given = aatm_results(pairs)
    selected = given | Qwen3Reranker(bundle, provider="cpu") | Select()
    assert selected is given
    for ours, aatms in zip(given.results, expected.results, strict=True):
        assert [one.expression for one in ours] == [one.expression for one in aatms]
        assert np.allclose([one.rerank_score for one in ours], [one.rerank_score for one in aatms], atol=1e-5)
        assert all(isinstance(one, RetrievedExpressionMetadata) for one in ours)


def test_bm25_is_aatms() -> None:
    pairs = [(f"{TERMS[index]} {TERMS[index + 1]}", TERMS[index : index + 9]) for index in range(0, 40, 5)]
    expected = aatm_rerankers.BM25Reranker().rerank(aatm_results(pairs))
    ours = BM25Reranker().rerank(aatm_results(pairs))
    assert [[one.rerank_score for one in found] for found in ours.results] == [
        [float(one.rerank_score) for one in found] for found in expected.results
    ]
    assert ours.results == expected.results


def test_our_results_are_not_pydantic_but_have_aatms_fields() -> None:
    from dataclasses import fields

    from aatm_onnx import RetrievedExpressionMetadata as Ours

    assert {field.name for field in fields(Ours)} == set(RetrievedExpressionMetadata.model_fields)
