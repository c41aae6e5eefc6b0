"""Reviewed terms from the files in which reviewers leave them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ..vocabulary import Filters, Vocabulary
from .evaluate import Question
from .term import column_of, is_tool
from .terms import TermColumns, read_terms

_CONCEPTS = ("conceptId", "target_concept_id", "concept_id", "targetConceptId")


def read_gold(
    path: Path,
    vocabulary: Vocabulary,
    read: Callable[[str], str],
    name_column: str | None = None,
    concept_column: str | None = None,
) -> list[Question]:
    """Read reviewed terms, each with all concepts that its rows name.

    Args:
        path: a file saved by Usagi (what a person approved counts), SOURCE_TO_CONCEPT_MAP (valid rows), or a CSV.
        vocabulary: where the concepts are.
        read: how a term is read.
        name_column: the term's column in a CSV.
        concept_column: the concept id's column in a CSV.

    Raises:
        ValueError: there is no such column, concepts are not in the vocabulary, or there is no reviewed term.
    """
    right: dict[str, set[str]] = {}
    unknown: dict[str, str] = {}  # concept ids that the vocabulary does not have, with a term
    for term in read_terms(path, TermColumns(name=name_column)):
        for row in term.rows:
            if not _is_reviewed(row):
                continue
            column = concept_column or column_of(row, _CONCEPTS)
            if column not in row:
                known = ", ".join(row)
                raise ValueError(f"{path}: no column of concept ids; give --concept-column, one of {known}.")
            if (concept_id := row[column].strip()) in ("", "0"):
                continue
            if vocabulary.concept(concept_id) is None:
                unknown.setdefault(concept_id, term.name)
            right.setdefault(read(term.name), set()).add(concept_id)
    if unknown:
        concept_id, name = next(iter(unknown.items()))
        more = f", nor {len(unknown) - 1} more of its concepts" if len(unknown) > 1 else ""
        raise ValueError(f"{path}: {name!r} is mapped to {concept_id}, which {vocabulary.path} does not have{more}.")
    if not right:
        raise ValueError(
            f"{path} has no reviewed term: a name with the id of a concept (in Usagi: approved by a person)."
        )
    return [Question(text, frozenset(ids)) for text, ids in right.items()]


def out_of_reach(questions: Sequence[Question], vocabulary: Vocabulary, filters: Filters) -> list[Question]:
    """The questions that no model can answer, because the filters leave all their right concepts out."""
    found = vocabulary.findable({each for question in questions for each in question.right}, filters)
    return [question for question in questions if found.isdisjoint(question.right)]


def _is_reviewed(row: dict[str, str]) -> bool:
    """Not what is open, no longer valid, or accepted by this tool: a model is always right about its own answers."""
    if row.get("mappingStatus", "APPROVED").strip().upper() != "APPROVED" or is_tool(row.get("statusSetBy", "")):
        return False
    column = column_of(row, ["invalid_reason"])
    return column is None or not row[column].strip()
