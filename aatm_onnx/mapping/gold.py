"""Reviewed terms from the files in which reviewers leave them."""

import re
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote

from ..csv_rows import listed
from ..vocabulary import Filters, Vocabulary
from .evaluate import Question
from .sssom import ATHENA
from .term import column_of, is_tool
from .terms import TermColumns, columns_of_file, read_terms

_CONCEPTS = ("conceptId", "target_concept_id", "concept_id", "targetConceptId", "object_id")
_NOTHING = ("", "0", "sssom:NoTermFound")
_SSSOM = {"subject_id", "predicate_id", "object_id"}  # by these a mapping set is known
_BY_PEOPLE = ("semapv:ManualMappingCuration", "semapv:MappingReview")
_OMOP = re.compile(rf"#\s*([\w.-]+):\s*[\"']?{re.escape(ATHENA)}[\"']?\s*")


def read_gold(
    path: Path,
    vocabulary: Vocabulary,
    read: Callable[[str], str],
    name_column: str | None = None,
    concept_column: str | None = None,
) -> list[Question]:
    """Read reviewed terms, each with all concepts that its rows name.

    Args:
        path: a file saved by Usagi (what a person approved counts), SOURCE_TO_CONCEPT_MAP (valid rows), SSSOM (what a
            person curated or reviewed), or a CSV.
        vocabulary: where the concepts are.
        read: how a term is read.
        name_column: the term's column in a CSV.
        concept_column: the concept id's column in a CSV.

    Raises:
        ValueError: there is no such column, concepts are not in the vocabulary, or there is no reviewed term.
    """
    right: dict[str, set[str]] = {}
    unknown: dict[str, str] = {}  # concept ids that the vocabulary does not have, with a term
    label = "subject_label" if set(columns_of_file(path)) >= _SSSOM else None
    omop = _omop_prefixes(path)
    for term in read_terms(path, TermColumns(name=name_column or label)):
        for row in term.rows:
            if not term.name or not _is_reviewed(row):
                continue
            column = concept_column or column_of(row, _CONCEPTS)
            if column not in row:
                raise ValueError(f"{path}: no column of concept ids; give --concept-column, one of {listed(row)}.")
            if (given := row[column].strip()) in _NOTHING:
                continue
            concept_id = _without_prefix(given, omop) if vocabulary.concept(given) is None else given
            if vocabulary.concept(concept_id) is None:
                unknown.setdefault(concept_id, term.name)
            right.setdefault(read(term.name), set()).add(concept_id)
    if unknown:
        concept_id, name = next(iter(unknown.items()))
        more = f", nor {len(unknown) - 1} more of its concepts" if len(unknown) > 1 else ""
        raise ValueError(f"{path}: {name!r} is mapped to {concept_id}, which {vocabulary.path} does not have{more}.")
    if not right:
        raise ValueError(
            f"{path} has no reviewed term: a name with the id of a concept (in Usagi: approved by a person;"
            " in SSSOM: semapv:ManualMappingCuration, semapv:MappingReview, or with a reviewer)."
        )
    return [Question(text, frozenset(ids)) for text, ids in right.items()]


def out_of_reach(questions: Sequence[Question], vocabulary: Vocabulary, filters: Filters) -> list[Question]:
    """The questions that no model can answer, because the filters leave all their right concepts out."""
    found = vocabulary.findable({each for question in questions for each in question.right}, filters)
    return [question for question in questions if found.isdisjoint(question.right)]


def _is_reviewed(row: dict[str, str]) -> bool:
    """Not what is open, negated, no longer valid, or by a tool alone: a model is always right about its own answers."""
    if row.get("mappingStatus", "APPROVED").strip().upper() != "APPROVED" or is_tool(row.get("statusSetBy", "")):
        return False
    if row.get("predicate_modifier", "").strip():  # "Not"
        return False
    by_people = row.get("mapping_justification", _BY_PEOPLE[0]).strip() in _BY_PEOPLE
    if not (by_people or row.get("reviewer_id", "").strip() or row.get("reviewer_label", "").strip()):
        return False
    column = column_of(row, ["invalid_reason"])
    return column is None or not row[column].strip()


def _omop_prefixes(path: Path) -> set[str]:
    """What stands before OMOP's concept ids in an SSSOM file, by its metadata or by custom."""
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        metadata = takewhile(lambda line: line.startswith("#"), stream)
        return {"OMOP", *(match[1] for line in metadata if (match := _OMOP.fullmatch(line)))}


def _without_prefix(concept_id: str, prefixes: Collection[str]) -> str:
    prefix, _, rest = concept_id.partition(":")
    return unquote(rest) if rest and prefix in prefixes else concept_id
