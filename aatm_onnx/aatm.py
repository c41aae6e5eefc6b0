"""This package inside aatm: names in aatm's registries, rerankers for aatm's mapper, a selector that reads scores.

    import aatm_onnx.aatm
    TerminologyMapper(reranker="onnx-default", selector="onnx-score", ...)

Importing this module imports aatm, and aatm imports PyTorch. It adds entries to aatm's registries, which are plain
dictionaries, and registers classes with aatm's abstract base classes; it changes nothing else of aatm.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .bm25 import BM25Reranker
from .models import DEFAULT_MODEL, SHORT_NAMES, ModelName
from .pipeline import BaseReranker
from .rerankers import Qwen3Reranker

try:
    import aatm.rerankers
    from aatm.data_models import EmptySelectionMetadata, RetrieverResults, SelectedExpressionMetadata, SelectorResults
    from aatm.registries.rerankers import RERANKERS_REGISTRY, RerankerRegistryEntry
    from aatm.registries.selectors import SELECTORS_REGISTRY, SelectorRegistryEntry
    from aatm.selectors import BaseSelector
except ImportError as error:
    raise ImportError(f"aatm can't be imported ({error}): pip install aatm") from error

_OWN = "onnx-"
_BM25 = "bm25-reranker"  # aatm's name
_SELECTOR = "onnx-score"
_AATMS_OWN = dict(RERANKERS_REGISTRY)  # as aatm made it


class ScoreSelector(BaseSelector):
    """Selects the candidate with the best rerank score, or nothing where the score does not say enough.

    aatm's own selectors read the retriever's distance. This one reads what the reranker found. aatm writes one minus
    the selected `distance` as `confidence_score`, hence the selection has one minus the score as its distance.

    Attributes:
        min_score: a best score below this selects nothing.
        min_margin: a best score that exceeds the best score of another concept by less than this selects nothing.
    """

    def __init__(self, min_score: float = 0.0, min_margin: float = 0.0) -> None:
        """Set the two limits.

        Args:
            min_score: the least score of a selection, from 0 to 1.
            min_margin: how far its score must exceed that of the best candidate of another concept, from 0 to 1.
                Synonyms of the same concept don't count: they agree. Without another concept every score will do.

        Raises:
            ValueError: a limit is not from 0 to 1.
        """
        for name, limit in (("min_score", min_score), ("min_margin", min_margin)):
            if not 0 <= limit <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {limit}.")
        self.min_score = min_score
        self.min_margin = min_margin

    def select(self, results: RetrieverResults) -> SelectorResults:
        """Select one candidate of each query, or aatm's EmptySelectionMetadata.

        Raises:
            ValueError: a candidate has no rerank score, or one that is not a probability (BM25's are not).
        """
        selected = [self._select(query, found) for query, found in zip(results.queries, results.results, strict=True)]
        return SelectorResults(results=selected, queries=results.queries)

    def _select(self, query: str, candidates: Sequence[Any]) -> Any:
        scores = [_probability(query, candidate) for candidate in candidates]
        if not scores:
            return EmptySelectionMetadata()
        index = max(range(len(scores)), key=scores.__getitem__)  # the first of equals
        concept = candidates[index].std_concept_id
        others = [score for score, other in zip(scores, candidates, strict=True) if other.std_concept_id != concept]
        if scores[index] < self.min_score or scores[index] - max(others, default=-math.inf) < self.min_margin:
            return EmptySelectionMetadata()
        fields = candidates[index].model_dump() | {"distance": _distance(scores[index]), "result_list_index": index}
        return SelectedExpressionMetadata(**fields)


def _probability(query: str, candidate: Any) -> float:
    score = candidate.rerank_score
    if score is None:
        raise ValueError(
            f"Candidate {candidate.expression!r} of {query!r} has no rerank score; give the mapper a reranker."
        )
    if not 0 <= score <= 1:
        raise ValueError(
            f"Candidate {candidate.expression!r} of {query!r} has the score {score}, which is not a probability;"
            " rerank with a model, or select with 'first-result-selector'."
        )
    return float(score)


def _distance(score: float) -> float:
    """One minus the score, but never 0, which aatm would take for "no distance" and write no confidence."""
    return max(1 - score, sys.float_info.min)


def register(
    *,
    aatm_names: bool = False,
    bundles: Mapping[str, ModelName] | None = None,
    min_score: float = 0.0,
    min_margin: float = 0.0,
    **options: Any,
) -> None:
    """Put this package's rerankers and selector into aatm's registries; a later call replaces an earlier one's entries.

    Importing this module calls it once without arguments. The names are "onnx-default", "onnx-qwen3-reranker-0.6b",
    "-4b" and "-8b", "onnx-bm25", and "onnx-score" for the selector.

    Args:
        aatm_names: let aatm's own reranker names ("qwen3-reranker-0.6b", "bm25-reranker", ...) lead to this package's.
            False lets them lead to aatm's again.
        bundles: further reranker names, each with the path of its bundle.
        min_score: ScoreSelector's, for "onnx-score".
        min_margin: ScoreSelector's, for "onnx-score".
        **options: further arguments of Qwen3Reranker (`threads`, `provider`, ...), for every name of it.

    Raises:
        ValueError: a limit is not from 0 to 1, or a bundle has a name of aatm's.

    Example:
        >>> register(aatm_names=True, threads=2)  # doctest: +SKIP
    """
    ScoreSelector(min_score, min_margin)  # the limits are checked now, not in the middle of a mapping
    for name in bundles or {}:
        if name in _AATMS_OWN:
            raise ValueError(f"{name!r} is a name of aatm's; call the bundle something else, {_OWN + name!r} for one.")
    models: dict[str, ModelName] = {_OWN + name: name for name in (DEFAULT_MODEL, *SHORT_NAMES)}
    models.update(bundles or {})
    ours = {
        name: RerankerRegistryEntry(name, Qwen3Reranker, {**options, "model_id": it}) for name, it in models.items()
    }
    ours["onnx-bm25"] = RerankerRegistryEntry("onnx-bm25", BM25Reranker, {})
    RERANKERS_REGISTRY.update(ours)
    RERANKERS_REGISTRY.update(_aatm_names_as(ours) if aatm_names else _AATMS_OWN)
    limits = {"min_score": min_score, "min_margin": min_margin}
    SELECTORS_REGISTRY[_SELECTOR] = SelectorRegistryEntry(_SELECTOR, ScoreSelector, limits)


def _aatm_names_as(ours: Mapping[str, Any]) -> dict[str, Any]:
    counterparts = {name: ours[_OWN + name] for name in SHORT_NAMES} | {_BM25: ours["onnx-bm25"]}
    return {
        name: RerankerRegistryEntry(name, counterpart.reranker_class, counterpart.kwargs)
        for name, counterpart in counterparts.items()
    }


aatm.rerankers.BaseReranker.register(BaseReranker)  # `isinstance` of aatm's mapper
register()
