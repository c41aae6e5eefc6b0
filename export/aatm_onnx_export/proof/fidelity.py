"""How far a quantized graph's scores are from float32: in order and in size, on queries with documents much alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import Fidelity
from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.scoring import score_prompts
from aatm_onnx.runtime.session import Session

Scores = NDArray[np.float64]

_RESAMPLES = 1000  # of the queries, for the noise of an average over them


@dataclass(frozen=True)
class Calibration:
    """Prompts query by query, and the scores that they should have.

    Attributes:
        prompts: token ids of every pair, documents of one query together.
        sizes: how many documents each query has.
        scores: in float32, (pairs,).
    """

    prompts: list[TokenIds]
    sizes: list[int]
    scores: Scores

    def measure(self, session: Session, pad_token_id: int) -> "Comparison":
        """Compare a session's scores."""
        return compare_scores(np.array(score_prompts(session, self.prompts, pad_token_id)), self.scores, self.sizes)


@dataclass(frozen=True)
class Comparison:
    """Scores against those in float32.

    Attributes:
        taus: Kendall's tau of each query's two orders, (queries,).
        differences: absolute differences of the scores, (pairs,).
    """

    taus: Scores
    differences: Scores

    @property
    def tau(self) -> float:
        """The mean of all queries."""
        return float(np.mean(self.taus))

    def fidelity(
        self, float_layers: Sequence[int] = (), methods: Sequence[str] = (), prefix_distance: float | None = None
    ) -> Fidelity:
        """What the manifest says of it; the arguments are the graph's."""
        return Fidelity(
            tau=self.tau,
            mean_difference=float(self.differences.mean()),
            largest_difference=float(self.differences.max()),
            queries=len(self.taus),
            pairs=len(self.differences),
            float_layers=sorted(float_layers),
            methods=list(methods),
            prefix_distance=prefix_distance,
        )


def compare_scores(scores: Scores, expected: Scores, sizes: Sequence[int]) -> Comparison:
    """Compare scores with those in float32, (pairs,) each, `sizes` of them to a query.

    A score that is not a number counts as an infinite difference and a reversed order.
    """
    ends = np.cumsum(sizes)[:-1]
    orders = zip(np.split(scores, ends), np.split(expected, ends), strict=True)
    taus = np.nan_to_num([kendall_tau(ours, theirs) for ours, theirs in orders], nan=-1.0)
    return Comparison(taus, np.nan_to_num(np.abs(scores - expected), nan=np.inf))


def kendall_tau(first: Scores, second: Scores) -> float:
    """Kendall's tau-b of two orders of the same documents, (documents,) each; 1 where both know but one rank."""
    upper = np.triu_indices(len(first), 1)
    a, b = (np.sign(scores[:, None] - scores[None, :])[upper] for scores in (first, second))
    if not a.any() and not b.any():
        return 1.0
    return float((a * b).sum() / max(1.0, np.sqrt(np.abs(a).sum() * np.abs(b).sum())))


def standard_error(values: Scores) -> float:
    """The noise of an average over queries, (queries,): how much it varies when the queries are drawn anew."""
    drawn = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    return float(values[drawn].mean(axis=1).std())
