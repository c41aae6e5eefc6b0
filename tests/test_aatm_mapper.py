"""aatm's real mapper, registries and selectors (0.1.7) with our rerankers; the services it could call are absent."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aatm.rerankers", reason="aatm is not installed; `make test` installs it")

from aatm.data_models import EmptySelectionMetadata, RetrievedExpressionMetadata, RetrieverResults

from aatm_onnx import BM25Reranker, Qwen3Reranker

from .aatm_light import light_aatm

CANDIDATES = ["Bladder stones", "Gallstones", "Nephrolithiasis", "Renal cyst", "Kidney disease"]


@pytest.fixture(scope="module")
def light() -> Iterator[Any]:
    """aatm's mapper module, and `aatm_onnx.aatm`."""
    with light_aatm() as mapper:
        import aatm_onnx.aatm

        yield mapper, aatm_onnx.aatm


def item(expression: str, score: float | None = None, concept: str | None = None) -> RetrievedExpressionMetadata:
    return RetrievedExpressionMetadata(
        expression=expression,
        expression_concept_id="1",
        expression_origin="standard_concept",
        std_concept_id=concept or expression,
        std_concept_name=expression,
        std_vocabulary_id="SNOMED",
        std_vocabulary_code="3",
        std_domain_id="Condition",
        distance=0.25,
        rerank_score=score,
    )


def retriever() -> Any:
    from aatm.retrievers import BaseRetriever

    class Fixed(BaseRetriever):  # type: ignore[misc]
        def retrieve(self, queries: list[str], *_: Any, **__: Any) -> RetrieverResults:
            return RetrieverResults(queries=queries, results=[[item(text) for text in CANDIDATES] for _ in queries])

    return Fixed()


def test_the_mapper_takes_our_rerankers_by_object_and_by_name(light: Any, tmp_path: Path) -> None:
    mapper, ours = light
    (tmp_path / "concepts.csv").write_text(
        "source_code,source_concept_id,source_vocabulary_id,source_code_description,valid_start_date,valid_end_date,"
        "invalid_reason\nL1,0,local,kidney stones,1970-01-01,2099-12-31,\n"
    )
    reranker = Qwen3Reranker(provider="cpu")
    best = reranker.rank("kidney stones", CANDIDATES)[0]
    assert best.index != 0  # else the retriever's own order would pass
    for index, given_reranker in enumerate([reranker, "onnx-default"]):
        terminology_mapper = mapper.TerminologyMapper(
            tmp_path / "concepts.csv", tmp_path / str(index), None, retriever(), "onnx-score", given_reranker
        )
        table = terminology_mapper.map()
        assert table["target_concept_id"][0] == best.document
        assert table["confidence_score"][0] == pytest.approx(best.score, abs=1e-12)
    files = [(tmp_path / str(index) / "mapped_source_concepts.csv").read_bytes() for index in range(2)]
    assert files[0] == files[1]
    assert isinstance(terminology_mapper.selector, ours.ScoreSelector)


def test_our_names_stand_beside_aatms_and_aatms_can_lead_to_ours(light: Any, fused_bundle: Path) -> None:
    from aatm.registries.rerankers import RERANKERS_REGISTRY, load_reranker
    from aatm.rerankers import BaseReranker
    from aatm.rerankers import Qwen3Reranker as Aatms

    _, ours = light
    shorts = ["qwen3-reranker-0.6b", "qwen3-reranker-4b", "qwen3-reranker-8b"]
    assert {"onnx-default", "onnx-bm25", "bm25-reranker", *shorts, *(f"onnx-{name}" for name in shorts)} == set(
        RERANKERS_REGISTRY
    )
    assert all(issubclass(entry.reranker_class, BaseReranker) for entry in RERANKERS_REGISTRY.values())
    assert RERANKERS_REGISTRY["qwen3-reranker-4b"].reranker_class is Aatms
    try:
        ours.register(aatm_names=True, bundles={"mine": fused_bundle}, provider="cpu", threads=1)
        assert load_reranker("mine", max_length=512).max_length == 512
        assert RERANKERS_REGISTRY["qwen3-reranker-4b"].reranker_class is Qwen3Reranker
        assert isinstance(load_reranker("bm25-reranker"), BM25Reranker)
        with pytest.raises(ValueError, match="name of aatm's"):
            ours.register(bundles={"qwen3-reranker-4b": fused_bundle})
    finally:
        ours.register()
        RERANKERS_REGISTRY.pop("mine", None)
    assert RERANKERS_REGISTRY["qwen3-reranker-4b"].reranker_class is Aatms


def select(light: Any, *items: RetrievedExpressionMetadata, **limits: float) -> Any:
    results = RetrieverResults(queries=["q"], results=[list(items)])
    return light[1].ScoreSelector(**limits).select(results).results[0]


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=8), limit=st.floats(0, 1))
def test_the_best_score_is_selected_or_nothing(light: Any, scores: list[float], limit: float) -> None:
    chosen = select(light, *(item(str(index), score) for index, score in enumerate(scores)), min_score=limit)
    if max(scores) < limit:
        assert isinstance(chosen, EmptySelectionMetadata)
    else:
        assert chosen.result_list_index == scores.index(max(scores))
        assert chosen.distance  # aatm writes no confidence for a distance of 0
        assert 1 - chosen.distance == pytest.approx(max(scores), abs=1e-15)


def test_the_margin_is_to_another_concept(light: Any) -> None:
    synonyms = [item("Myocardial infarction", 0.9, "1"), item("Heart attack", 0.88, "1")]
    assert select(light, *synonyms, min_margin=0.5).result_list_index == 0
    another = item("Cardiac arrest", 0.6, "2")
    assert select(light, *synonyms, another, min_margin=0.25).std_concept_id == "1"
    assert isinstance(select(light, *synonyms, another, min_margin=0.5), EmptySelectionMetadata)
    assert isinstance(select(light), EmptySelectionMetadata)


def test_scores_that_are_missing_or_no_probabilities_are_refused(light: Any) -> None:
    with pytest.raises(ValueError, match="'a' of 'q' has no rerank score"):
        select(light, item("a"))
    with pytest.raises(ValueError, match=r"score 7\.5, which is not a probability"):
        select(light, item("a", 7.5))
    with pytest.raises(ValueError, match="min_margin must be from 0 to 1, not 2"):
        select(light, min_margin=2)


def test_only_the_modules_that_are_named_after_it_import_aatm() -> None:
    code = """
import importlib, pkgutil, sys
import aatm_onnx
for module in pkgutil.walk_packages(aatm_onnx.__path__, "aatm_onnx."):
    if module.name not in ("aatm_onnx.aatm", "aatm_onnx.aatm_api", "aatm_onnx.cli.__main__"):
        try:
            importlib.import_module(module.name)
        except ImportError:  # a framework that is not here
            assert module.name.startswith("aatm_onnx.integrations."), module.name
print({"aatm", "torch", "transformers", "pandas", "aatm_onnx.cli.aatm"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'aatm_onnx.cli.aatm'}"
