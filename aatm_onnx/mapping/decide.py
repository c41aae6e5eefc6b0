"""From scored candidates to what a reviewer sees: accepted, to review, or no match."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .propose import Candidate

Decision = Literal["accepted", "review", "no match"]


@dataclass(frozen=True)
class Rules:
    """When a first place counts as what.

    Attributes:
        accept_above: accept it from this score on; None accepts nothing.
        margin: and only if its score is this much above the second's.
        match_above: below this score there is no match.
    """

    accept_above: float | None = None
    margin: float = 0.0
    match_above: float = 0.01

    def decide(self, candidates: Sequence[Candidate]) -> Decision:
        """What the candidates, best first, amount to."""
        if not candidates or candidates[0].score < self.match_above:
            return "no match"
        if self.accept_above is not None and candidates[0].score >= self.accept_above:
            return "accepted" if margin_of(candidates) >= self.margin else "review"
        return "review"


def margin_of(candidates: Sequence[Candidate]) -> float:
    """How far the first candidate's score is above the second's; a candidate that is alone has its whole score."""
    if not candidates:
        return 0.0
    return candidates[0].score - (candidates[1].score if len(candidates) > 1 else 0.0)
