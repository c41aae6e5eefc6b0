"""The residual stream: an update that enters it and the norm that follows are one operator."""

from collections.abc import Callable

from ..checkpoint import CheckpointWeights
from .builder import OnnxGraph, Value


class ResidualStream:
    """What every layer reads and adds to, (tokens, hidden) float32, while a graph is built."""

    def __init__(self, graph: OnnxGraph, weights: CheckpointWeights, embedded: Value) -> None:
        """Start with the tokens' embeddings."""
        self._graph, self._weights = graph, weights
        self._total = embedded
        self._update: Value | None = None

    def add(self, update: Value) -> None:
        """Add an update, before the next norm."""
        assert self._update is None
        self._update = update

    def select(self, select: Callable[[Value], Value]) -> None:
        """Go on with some of the tokens."""
        assert self._update is None
        self._total = select(self._total)

    def norm(self, name: str) -> Value:
        """The RMSNorm of the stream by weight `name`."""
        weight = self._graph.weight(name, self._weights.whole(name))
        epsilon = self._weights.rms_norm_eps
        if self._update is None:
            return self._graph.op.SimplifiedLayerNormalization(self._total, weight, axis=-1, epsilon=epsilon)
        normed, _, _, self._total = self._graph.nodes(
            "SkipSimplifiedLayerNormalization", self._total, self._update, weight, outputs=4, epsilon=epsilon
        )
        self._update = None
        return normed
