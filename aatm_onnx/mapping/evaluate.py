"""How well rerankers do on a user's own reviewed terms: hits, ranks, calibration, and what a threshold costs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .propose import Candidate

_BINS = 10


@dataclass(frozen=True)
class Question:
    """A reviewed term.

    Attributes:
        text: the term as it is matched.
        right: the concept ids that reviewers accept for it.
    """

    text: str
    right: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """What one reranker did with all questions.

    Attributes:
        ranks: the place of the first right concept of each question, from 1; 0 where it was not found, (questions,).
        first: the score of each first place, -inf where nothing was found, (questions,).
    """

    ranks: NDArray[np.int64]
    first: NDArray[np.float64]

    @classmethod
    def of(cls, questions: Sequence[Question], answers: Sequence[Sequence[Candidate]]) -> "Outcome":
        """Compare answers, best first, with what is right."""
        ranks = [
            next((rank for rank, each in enumerate(row, 1) if each.concept_id in question.right), 0)
            for question, row in zip(questions, answers, strict=True)
        ]
        first = [row[0].score if row else -np.inf for row in answers]
        return cls(np.array(ranks, np.int64), np.array(first, np.float64))

    def hit(self, places: int) -> float:
        """The share of questions whose right concept is among the first `places`."""
        return float(np.mean((self.ranks > 0) & (self.ranks <= places)))

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank; what was not found counts 0."""
        return float(np.mean(np.where(self.ranks > 0, 1 / np.maximum(self.ranks, 1), 0)))

    def coverage(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """What accepting first places gives, threshold by threshold.

        Returns:
            (threshold, coverage, precision), each (distinct scores,), thresholds descending: the share of questions
            whose first place has at least that score, and the share of these that is right.
        """
        order = np.argsort(-self.first, kind="stable")
        scores, right = self.first[order], (self.ranks[order] == 1).astype(float)
        last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # equal scores are accepted together
        accepted = last + 1
        return scores[last], accepted / len(scores), np.cumsum(right)[last] / accepted

    def coverage_at(self, precision: float) -> tuple[float, float | None]:
        """The largest coverage whose precision is at least `precision`, and its threshold."""
        thresholds, coverages, precisions = self.coverage()
        enough = np.flatnonzero(precisions >= precision)
        if not len(enough):
            return 0.0, None
        return float(coverages[enough[-1]]), float(thresholds[enough[-1]])

    def calibration(self) -> tuple[float, list[tuple[float, float, int]]]:
        """Expected calibration error of first places, and of each bin mean score, share that is right, and count.

        Meaningful only for scores between 0 and 1.
        """
        scores, right = np.clip(self.first, 0, 1), self.ranks == 1
        which = np.minimum((scores * _BINS).astype(int), _BINS - 1)
        bins = [
            (float(scores[which == each].mean()), float(right[which == each].mean()), int((which == each).sum()))
            for each in range(_BINS)
            if (which == each).any()
        ]
        return sum(abs(score - share) * count for score, share, count in bins) / max(len(scores), 1), bins
