"""What a vocabulary is made of: concepts and further names of them."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept of a terminology; the fields are those of Athena's CONCEPT.csv.

    Attributes:
        id: unique within the vocabulary that is indexed: "201826", "HP:0000822".
        name: its preferred name.
        vocabulary: the terminology that it is from, "SNOMED".
        domain: "Condition".
        concept_class: "Clinical Finding".
        standard: "S" (standard concept), "C" (classification) or "".
        code: its code within its terminology.
    """

    id: str
    name: str
    vocabulary: str = ""
    domain: str = ""
    concept_class: str = ""
    standard: str = ""
    code: str = ""


class Synonym(NamedTuple):
    """Another name of a concept."""

    concept_id: str
    text: str


class Match(NamedTuple):
    """A concept that a search found.

    Attributes:
        concept: the concept.
        text: that of its names which is most similar to the query.
        similarity: the cosine of their character n-grams, from 0 to 1.
    """

    concept: Concept
    text: str
    similarity: float


@dataclass(frozen=True)
class Filters:
    """Which concepts a search may find. Empty fields allow all.

    Attributes:
        vocabularies: names of terminologies, as `Concept.vocabulary`.
        domains: as `Concept.domain`.
        classes: as `Concept.concept_class`.
        standard: only standard concepts.
    """

    vocabularies: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    standard: bool = False
