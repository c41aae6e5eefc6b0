"""The residual stream and its norms."""

from collections.abc import Callable

from ..checkpoint import CheckpointWeights
from .builder import OnnxGraph, Value


class ResidualStream:
    """What every layer reads and adds to, (tokens, hidden) float32, while a graph is built."""

    def __init__(self, graph: OnnxGraph, weights: CheckpointWeights, embedded: Value, norm_adds: bool) -> None:
        """Start with the tokens' embeddings.

        Args:
            graph: the graph that is built.
            weights: the checkpoint's.
            embedded: (tokens, hidden).
            norm_adds: whether the norm's operator adds the update before it too. On a CPU that one adds up the squares
                one after the other, and takes twice as long as two operators do.
        """
        self._graph, self._weights, self._norm_adds = graph, weights, norm_adds
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
        update, self._update = self._update, None
        if update is not None and self._norm_adds:
            normed, _, _, self._total = self._graph.nodes(
                "SkipSimplifiedLayerNormalization", self._total, update, weight, outputs=4, epsilon=epsilon
            )
            return normed
        if update is not None:
            self._total = self._total + update
        return self._graph.op.SimplifiedLayerNormalization(self._total, weight, axis=-1, epsilon=epsilon)
