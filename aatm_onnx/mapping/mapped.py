"""A term with what was found for it: what every output format writes."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..vocabulary import Concept
from .cleaning import Reading
from .decide import Decision
from .term import Term


class Proposed(NamedTuple):
    """A candidate with its concept; attributes as in Candidate."""

    concept: Concept
    text: str
    score: float
    similarity: float


@dataclass(frozen=True, slots=True)
class MappedTerm:
    """A term, how it was read, and its candidates.

    Attributes:
        term: the source term.
        reading: what was matched.
        decision: "decided" is a term that was decided about before: it was not matched.
        proposed: the candidates to show, best first.
        margin: how far the first candidate's score is above the second's, which need not be shown.
        approved: the concepts that were approved before, one for each of the term's `approved`.
    """

    term: Term
    reading: Reading
    decision: Decision | Literal["decided"]
    proposed: tuple[Proposed, ...] = ()
    margin: float = 0.0
    approved: tuple[Concept, ...] = ()

    @property
    def first(self) -> Proposed | None:
        """The first candidate, unless there is no match."""
        return self.proposed[0] if self.proposed and self.decision != "no match" else None

    @property
    def targets(self) -> tuple[Concept, ...]:
        """What it is mapped to: the concepts that were approved before, or that of the first candidate."""
        return self.approved if self.first is None else (self.first.concept,)
