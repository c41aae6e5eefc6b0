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
        decision: "decided" is a term that a person had decided about before: it was not matched.
        proposed: the candidates to show, best first.
        margin: how far the first candidate's score is above the second's, which need not be shown.
    """

    term: Term
    reading: Reading
    decision: Decision | Literal["decided"]
    proposed: tuple[Proposed, ...] = ()
    margin: float = 0.0

    @property
    def first(self) -> Proposed | None:
        """The first candidate, unless there is no match."""
        return self.proposed[0] if self.proposed and self.decision != "no match" else None
