"""LangChain: a cross encoder for its own reranker, and a document compressor that keeps the score."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..load import load_reranker
from ..models import DEFAULT_MODEL
from ..reranker import Reranker
from .cross_encoder import score_pairs

try:
    from langchain_core.callbacks import Callbacks
    from langchain_core.cross_encoders import BaseCrossEncoder
    from langchain_core.documents import BaseDocumentCompressor, Document
    from pydantic import ConfigDict, Field, PrivateAttr
except ImportError as error:
    raise ImportError(f"LangChain can't be imported ({error}): pip install 'langchain-core>=1.2.19'") from error


class OnnxCrossEncoder(BaseCrossEncoder):
    """A BaseCrossEncoder, for `CrossEncoderReranker` and whatever else takes one.

    Attributes:
        reranker: the reranker inside.
    """

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        """Load the reranker.

        Args:
            model: a name or a bundle's path, as `load_reranker` takes it.
            **options: further arguments of `load_reranker`.
        """
        self.reranker = load_reranker(model, **options)

    def score(self, text_pairs: list[tuple[str, str]]) -> list[float]:
        """Score (query, document) pairs, in the order given."""
        return score_pairs(self.reranker, text_pairs)


class OnnxReranker(BaseDocumentCompressor):
    """A BaseDocumentCompressor for ContextualCompressionRetriever: documents best first, each with its score.

    The documents are copies with the id and metadata of the originals; the score is `metadata["relevance_score"]`.
    Further fields (`threads=2`, `provider="cpu"`) are arguments of `load_reranker`.

    Attributes:
        model: a name or a bundle's path, as `load_reranker` takes it.
        top_n: return only this many of the best; None returns all.
    """

    model_config = ConfigDict(extra="allow")

    model: str = DEFAULT_MODEL
    top_n: int | None = Field(default=None, ge=1)
    _reranker: Reranker = PrivateAttr()

    if TYPE_CHECKING:  # which knows of pydantic's fields, but not of extra="allow"

        def __init__(self, *, model: str = DEFAULT_MODEL, top_n: int | None = None, **options: Any) -> None: ...

    def model_post_init(self, context: Any, /) -> None:
        """Load the reranker; pydantic calls this after the fields are set."""
        self._reranker = load_reranker(self.model, **(self.model_extra or {}))

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Order documents by their score against a query; `acompress_documents` does the same in a thread."""
        ranking = self._reranker.rank(query, [document.page_content for document in documents], self.top_n)
        return [_with_score(documents[each.index], each.score) for each in ranking]


def _with_score(document: Document, score: float) -> Document:
    return document.model_copy(update={"metadata": {**document.metadata, "relevance_score": score}})
