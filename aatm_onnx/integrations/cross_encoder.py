"""A reranker in the shape of sentence-transformers' CrossEncoder, which BEIR, LanceDB and many others call."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..load import load_reranker
from ..models import DEFAULT_MODEL, ModelName
from ..ranking import check_text
from ..reranker import Reranker

_WITHOUT_MEANING = ("batch_size", "show_progress_bar", "num_workers", "device", "pool", "chunk_size")


def score_pairs(reranker: Reranker, pairs: Iterable[Sequence[str]], task: str | None = None) -> list[float]:
    """Score (query, document) pairs in any order, all of a query together, which shares its part of the prompt.

    Args:
        reranker: what scores them.
        pairs: each a query and a document.
        task: the instruction; None takes the reranker's own.

    Returns:
        One score per pair, in the order given.

    Raises:
        ValueError: a pair is not two strings; its place is named.
    """
    places: dict[str, list[int]] = {}
    documents: list[str] = []
    for index, pair in enumerate(pairs):
        query, document = _two_texts(pair, index)
        places.setdefault(query, []).append(index)
        documents.append(document)
    groups = [[documents[index] for index in its] for its in places.values()]
    scores = [0.0] * len(documents)
    for its, scored in zip(places.values(), reranker.score_pairs(list(places), groups, task=task), strict=True):
        for index, pair_score in zip(its, scored, strict=True):
            scores[index] = pair_score.score
    return scores


def _two_texts(pair: object, index: int) -> tuple[str, str]:
    if isinstance(pair, Iterable) and not _is_no_list(pair):
        match list(pair):
            case [str(query), str(document)]:
                query = check_text(query, f"The query of pair {index}")
                return query, check_text(document, f"The document of pair {index}")
    raise ValueError(f"Pair {index} must be two strings, a query and a document, not {pair!r:.200}.")


def _is_no_list(values: object) -> bool:
    """Whether what it gives when iterated over is something else than its items in order."""
    return isinstance(values, str | bytes | Mapping | Set) or hasattr(values, "columns")


class CrossEncoder:
    """`predict` and `rank` as sentence-transformers has them (5.7, 6.2), without PyTorch.

    Arguments that have no meaning here (`batch_size`, `show_progress_bar`, `num_workers`, `device`, `pool`,
    `chunk_size`) are accepted and change nothing. Those that would change the result are refused: a score is a
    probability already.

    Attributes:
        reranker: the reranker inside.
    """

    def __init__(self, model_name_or_path: ModelName = DEFAULT_MODEL, **options: Any) -> None:
        """Load the reranker.

        Args:
            model_name_or_path: a name or a bundle's path, as `load_reranker` takes it.
            **options: further arguments of `load_reranker`.
        """
        self.reranker = load_reranker(model_name_or_path, **options)

    def predict(
        self,
        inputs: Sequence[Sequence[str]] | Sequence[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *,
        sentences: Sequence[Sequence[str]] | Sequence[str] | None = None,
        activation_fn: Callable[..., Any] | None = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        **ignored: Any,
    ) -> NDArray[np.float32]:
        """Score (query, document) pairs.

        Args:
            inputs: a list of pairs, or one pair of strings.
            prompt_name: refused; a reranker has one instruction, or that of `prompt`.
            prompt: the instruction; None takes the reranker's own.
            sentences: an older name of `inputs`, which sentence-transformers takes too.
            activation_fn: refused.
            apply_softmax: refused.
            convert_to_numpy: False is refused.
            convert_to_tensor: refused.
            **ignored: `batch_size`, `show_progress_bar` and their like.

        Returns:
            Scores in the order given, shape (pairs,), float32; one number for one pair.

        Raises:
            TypeError: there are no pairs, or there is no such argument.
            ValueError: a pair is not two strings, or an argument is refused.
        """
        pairs = sentences if inputs is None else inputs
        if pairs is None:
            raise TypeError("predict needs pairs of a query and a document.")
        if _is_no_list(pairs):
            raise ValueError(f"The pairs must be a list, each a query and a document, not {type(pairs).__name__}.")
        _refuse(
            ignored,
            prompt_name=prompt_name,
            activation_fn=activation_fn,
            apply_softmax=apply_softmax,
            convert_to_numpy=not convert_to_numpy,
            convert_to_tensor=convert_to_tensor,
        )
        given: list[Any] = list(pairs)
        if len(given) == 2 and all(isinstance(text, str) for text in given):
            # A number, which [()] makes of it; sentence-transformers declares it as an array too.
            one: NDArray[np.float32] = np.array(score_pairs(self.reranker, [given], prompt)[0], np.float32)[()]
            return one
        return np.array(score_pairs(self.reranker, given, prompt), np.float32)

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *,
        activation_fn: Callable[..., Any] | None = None,
        **ignored: Any,
    ) -> list[dict[str, Any]]:
        """Order documents by their score against one query, best first.

        Args:
            query: the text to match.
            documents: the texts to order.
            top_k: return only this many of the best; None returns all.
            return_documents: add each document's `text`.
            prompt_name: refused, as `predict` refuses it.
            prompt: the instruction; None takes the reranker's own.
            activation_fn: refused.
            **ignored: `batch_size`, `show_progress_bar` and their like.

        Returns:
            `{"corpus_id": place in documents, "score": float}` of each, with `text` if asked for.

        Raises:
            TypeError: there is no such argument.
            ValueError: a text is not a string, or an argument is refused.
        """
        convert_to_numpy = ignored.pop("convert_to_numpy", True)
        older = {name: ignored.pop(name, None) for name in ("apply_softmax", "convert_to_tensor")}
        _refuse(
            ignored,
            prompt_name=prompt_name,
            activation_fn=activation_fn,
            convert_to_numpy=not convert_to_numpy,
            **older,
        )
        ranking = self.reranker.rank(query, documents, top_k, task=prompt)
        return [
            {"corpus_id": each.index, "score": each.score} | ({"text": each.document} if return_documents else {})
            for each in ranking
        ]


def _refuse(ignored: dict[str, Any], **refused: object) -> None:
    refused["activation_fct"] = ignored.pop("activation_fct", None)  # activation_fn's older name
    for name in ignored:
        if name not in _WITHOUT_MEANING:
            raise TypeError(f"CrossEncoder takes no argument {name!r}; `prompt` is the instruction.")
    for name, value in refused.items():
        if value is not None and value is not False:
            raise ValueError(
                f"{name} is not supported: scores are probabilities already, in numpy arrays, and `prompt` is the"
                " instruction. Leave it out."
            )
