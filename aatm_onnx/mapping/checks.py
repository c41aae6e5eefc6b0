"""What an output's format asks of terms and concepts, looked at before anything is scored."""

import io
import re
from collections.abc import Iterable, Iterator

from .term import Term
from .writers import ParquetWriter

_NUMBER = re.compile(r"-?[0-9]+")


def checked(
    terms: Iterable[Term], output_format: str, source_vocabulary: str, concept_ids: Iterable[str]
) -> Iterator[Term]:
    """Pass terms on that can be written in a format, whatever will be found for them.

    Args:
        terms: the terms.
        output_format: as `map --format` names it.
        source_vocabulary: of terms that don't say theirs.
        concept_ids: those of all concepts that may be found.

    Raises:
        ValueError: a concept's id is not a number, or a term has no vocabulary.
        ImportError: pyarrow is not installed.
    """
    if output_format == "parquet":
        ParquetWriter(io.BytesIO()).close()
    if output_format in ("usagi", "stcm"):
        for concept_id in concept_ids:
            if not _NUMBER.fullmatch(concept_id):
                raise ValueError(
                    f"The concept id {concept_id!r} is not a number, as OMOP's are; use --format sssom, csv or jsonl."
                )
    for term in terms:
        if output_format == "stcm" and not (term.vocabulary or source_vocabulary):
            raise ValueError("SOURCE_TO_CONCEPT_MAP needs the source's vocabulary: give --source-vocabulary.")
        yield term
