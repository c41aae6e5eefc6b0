"""What an output's format asks of terms and concepts, looked at before anything is scored."""

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..vocabulary import Filters, Vocabulary
from .term import Term
from .writers import ParquetWriter

_STCM_CODE = 50  # characters of source_code in OMOP CDM 5.4: varchar(50)
_NUMBER = re.compile(r"-?[0-9]+")


def checked(
    terms: Iterable[Term], output_format: str, source_vocabulary: str, vocabulary: Vocabulary, filters: Filters
) -> Iterator[Term]:
    """Pass terms on that can be written in a format, whatever will be found for them.

    Args:
        terms: the terms.
        output_format: as `map --format` names it.
        source_vocabulary: of terms that don't say theirs.
        vocabulary: where concepts are found.
        filters: which of them.

    Raises:
        ValueError: a concept's id is not a number, or a concept or a term has no vocabulary.
        ImportError: pyarrow is not installed.
    """
    if output_format == "parquet":
        ParquetWriter(io.BytesIO()).close()
    if output_format in ("usagi", "stcm"):
        for concept_id in vocabulary.ids(filters):
            if not _NUMBER.fullmatch(concept_id):
                raise ValueError(
                    f"The concept id {concept_id!r} is not a number, as OMOP's are; use --format sssom, csv or jsonl."
                )
    yield from terms if output_format != "stcm" else _checked_stcm(terms, source_vocabulary, vocabulary, filters)


def _checked_stcm(
    terms: Iterable[Term], source_vocabulary: str, vocabulary: Vocabulary, filters: Filters
) -> Iterator[Term]:
    """Pass terms on; warn of approved concepts that can't be written, and of codes that a database would not take."""
    if not filters.vocabularies and "" in vocabulary.categories["vocabulary"]:
        concept_id = next(iter(vocabulary.ids(replace(filters, vocabularies=("",)))), None)
        if concept_id is not None:
            raise ValueError(
                f"SOURCE_TO_CONCEPT_MAP needs the vocabulary of every concept, and {vocabulary.path} has none for"
                f" {concept_id}; index it with one, name others with --target-vocabulary, or use --format csv."
            )
    left_out: list[tuple[str, str]] = []
    long_codes: dict[str, None] = {}
    for term in terms:
        if not (term.vocabulary or source_vocabulary):
            raise ValueError("SOURCE_TO_CONCEPT_MAP needs the source's vocabulary: give --source-vocabulary.")
        for each in term.approved:
            concept = vocabulary.concept(each.concept_id)
            if concept is None or not concept.vocabulary:
                left_out.append((term.name, each.concept_id))
        if len(term.code) > _STCM_CODE:
            long_codes[term.code] = None
        yield term
    if long_codes:
        warnings.warn(
            f"{len(long_codes)} of the source codes are longer than the {_STCM_CODE} characters of"
            f" SOURCE_TO_CONCEPT_MAP's source_code, the first is {next(iter(long_codes))!r}: a database may refuse"
            " them; give a --code-column.",
            stacklevel=2,
        )
    if left_out:
        name, concept_id = left_out[0]
        warnings.warn(
            f"{len(left_out)} of the approved concepts are left out, the first is {concept_id} for {name!r}:"
            f" SOURCE_TO_CONCEPT_MAP needs their vocabulary, which {vocabulary.path} does not say.",
            stacklevel=2,
        )
