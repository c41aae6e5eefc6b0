"""LlamaIndex: a node postprocessor."""

from typing import TYPE_CHECKING, Any

from ..load import load_reranker
from ..models import DEFAULT_MODEL
from ..reranker import Reranker

try:
    from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
    from llama_index.core.callbacks import CBEventType, EventPayload
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
except ImportError as error:
    raise ImportError(f"LlamaIndex can't be imported ({error}): pip install llama-index-core") from error

_dispatcher = get_dispatcher(__name__)


class OnnxReranker(BaseNodePostprocessor):
    """Orders nodes by their score against the query, which takes the place of the retriever's score.

    Further fields (`threads=2`, `provider="cpu"`) are arguments of `load_reranker`.

    Attributes:
        model: a name or a bundle's path, as `load_reranker` takes it.
        top_n: return only this many of the best; None returns all.
    """

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)

    model: str = DEFAULT_MODEL
    top_n: int | None = Field(default=None, ge=1)
    _reranker: Reranker = PrivateAttr()

    if TYPE_CHECKING:  # which knows of pydantic's fields, but not of extra="allow"

        def __init__(self, *, model: str = DEFAULT_MODEL, top_n: int | None = None, **options: Any) -> None: ...

    def model_post_init(self, context: Any, /) -> None:
        """Load the reranker; pydantic calls this after the fields are set."""
        super().model_post_init(context)
        options = dict(self.model_extra or {})
        options.pop("class_name", None)  # LlamaIndex's model_dump writes it, and the other components ignore it
        self._reranker = load_reranker(self.model, **options)

    @classmethod
    def class_name(cls) -> str:
        """The name under which it is serialized."""
        return "OnnxReranker"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("OnnxReranker needs the query: give postprocess_nodes a query_bundle or a query_str.")
        if not nodes:
            return []
        most = len(nodes) if self.top_n is None else self.top_n
        started = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.model,
            EventPayload.QUERY_STR: query_bundle.query_str,
            EventPayload.TOP_K: most,
        }
        _dispatcher.event(ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=most, model_name=self.model))
        with self.callback_manager.event(CBEventType.RERANKING, payload=started) as event:
            texts = [each.node.get_content(metadata_mode=MetadataMode.EMBED) for each in nodes]
            ranking = self._reranker.rank(query_bundle.query_str, texts, self.top_n)
            ranked = [NodeWithScore(node=nodes[each.index].node, score=each.score) for each in ranking]
            event.on_end(payload={EventPayload.NODES: ranked})
        _dispatcher.event(ReRankEndEvent(nodes=ranked))
        return ranked
