"""Haystack: a ranker component."""

import asyncio
from dataclasses import replace
from typing import Any

from ..load import load_reranker, opening
from ..models import DEFAULT_MODEL
from ..ranking import check_list, check_top_k
from ..reranker import Reranker

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise ImportError(f"Haystack can't be imported ({error}): pip install haystack-ai") from error


@component
class OnnxRanker:
    """Orders documents by their score against the query, and sets it as `document.score`.

    Haystack loads pipelines from YAML only with modules that it was told to trust:
    `Pipeline.loads(text, allowed_modules=["aatm_onnx.integrations.haystack"])`.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        top_k: int | None = None,
        score_threshold: float | None = None,
        meta_fields_to_embed: list[str] | None = None,
        meta_data_separator: str = "\n",
        **options: Any,
    ) -> None:
        """Note what to load; `warm_up`, or the first run, loads it.

        Args:
            model: a name or a bundle's path, as `load_reranker` takes it.
            top_k: return only this many of the best; None returns all.
            score_threshold: leave out documents with a lower score.
            meta_fields_to_embed: metadata whose values are put before a document's content.
            meta_data_separator: what stands between them.
            **options: further arguments of `load_reranker`.

        Raises:
            ValueError: `top_k` is less than 1, or `meta_fields_to_embed` is not a list.
        """
        check_top_k(top_k)
        check_list(meta_fields_to_embed or [], "meta_fields_to_embed")
        self.model = model
        self.top_k = top_k
        self.score_threshold = score_threshold
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.meta_data_separator = meta_data_separator
        self.options = options
        self._reranker: Reranker | None = None

    def to_dict(self) -> dict[str, Any]:
        """What YAML keeps of it."""
        data: dict[str, Any] = default_to_dict(
            self,
            model=self.model,
            top_k=self.top_k,
            score_threshold=self.score_threshold,
            meta_fields_to_embed=self.meta_fields_to_embed,
            meta_data_separator=self.meta_data_separator,
            **self.options,
        )
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "OnnxRanker":
        """The component of what `to_dict` returned."""
        made: OnnxRanker = default_from_dict(cls, data)
        return made

    def warm_up(self) -> None:
        """Load the reranker, once."""
        with opening():  # a lock of the component's own would keep it from being copied
            if self._reranker is None:
                self._reranker = load_reranker(self.model, **self.options)

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, list[Document]]:
        """Order documents by their score against a query, best first.

        Args:
            query: the text to match.
            documents: the documents to order; they are not changed. Of those with one id, as two retrievers give them,
                the one with the highest score is taken, the first of equals.
            top_k: in place of the component's own.
            score_threshold: in place of the component's own.

        Returns:
            `documents`: copies with their scores; ids and metadata are kept.

        Raises:
            ValueError: `top_k` is less than 1, or a document has no text.
        """
        check_top_k(top_k)
        self.warm_up()
        assert self._reranker is not None
        documents = _distinct(documents)
        texts = [self._text(document) for document in documents]
        ranking = self._reranker.rank(query, texts, self.top_k if top_k is None else top_k)
        given = self.score_threshold if score_threshold is None else score_threshold
        least = float("-inf") if given is None else given
        return {
            "documents": [replace(documents[each.index], score=each.score) for each in ranking if each.score >= least]
        }

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, list[Document]]:
        """`run` in a thread."""
        ran: dict[str, list[Document]] = await asyncio.to_thread(self.run, query, documents, top_k, score_threshold)
        return ran

    def _text(self, document: Document) -> str:
        if document.content is None:
            raise ValueError(f"Document {document.id} has no text to rank by; leave it out.")
        values = [document.meta.get(name) for name in self.meta_fields_to_embed]
        meta = [str(value) for value in values if value is not None]
        return self.meta_data_separator.join([*meta, document.content])


def _distinct(documents: list[Document]) -> list[Document]:
    """One document of each id, as Haystack's own rankers take them."""
    best: dict[str, Document] = {}
    for document in documents:
        other = best.setdefault(document.id, document)
        if document.score is not None and (other.score is None or document.score > other.score):
            best[document.id] = document
    return list(best.values())
