"""A source list through the proposer into a file: read twice, scored once, resumed where it was ended."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..vocabulary import Concept
from .cleaning import Reading
from .decide import Rules, margin_of
from .journal import Journal
from .mapped import MappedTerm, Proposed
from .propose import TEXTS_AT_ONCE, Proposer
from .term import Term
from .writers import Writer

Read = Callable[[str], Reading]  # how a term is read


def texts_to_score(terms: Iterable[Term], read: Read) -> list[str]:
    """The distinct readings of the terms that nobody has decided about, in their order."""
    return list(dict.fromkeys(read(term.name).text for term in terms if not term.decided))


def score_texts(texts: Sequence[str], proposer: Proposer, journal: Journal, progress: Callable[[int], None]) -> None:
    """Score the texts that are not in the journal yet, and write them to it.

    Args:
        texts: the texts.
        proposer: finds and orders candidates.
        journal: keeps the results.
        progress: called with the number of texts after each batch.
    """
    left = [text for text in texts if text not in journal]
    progress(len(texts) - len(left))
    for start in range(0, len(left), TEXTS_AT_ONCE):
        some = left[start : start + TEXTS_AT_ONCE]
        journal.append(zip(some, proposer.propose(some), strict=True))
        progress(len(some))


def mapped_terms(
    terms: Iterable[Term], read: Read, proposer: Proposer, journal: Journal, rules: Rules, kept: int
) -> Iterator[MappedTerm]:
    """Every term with the first `kept` of its candidates from the journal, in the order of the source."""
    for term in terms:
        if term.decided:
            approved = (
                proposer.vocabulary.concept(each.concept_id) or Concept(each.concept_id, each.name)
                for each in term.approved
            )
            yield MappedTerm(term, Reading(term.name), "decided", approved=tuple(approved))
            continue
        reading = read(term.name)
        candidates = journal[reading.text]
        proposed = []
        for each in candidates[:kept]:
            concept = proposer.vocabulary.concept(each.concept_id)
            assert concept is not None  # the journal is of this vocabulary
            proposed.append(Proposed(concept, each.text, each.score, each.similarity))
        yield MappedTerm(term, reading, rules.decide(candidates), tuple(proposed), margin_of(candidates))


def write_all(mapped: Iterable[MappedTerm], writer: Writer) -> Iterator[MappedTerm]:
    """Write every term and pass it on; close the writer at the end."""
    for each in mapped:
        writer.write(each)
        yield each
    writer.close()
