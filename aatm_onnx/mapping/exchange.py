"""Output formats of OMOP's tools: Usagi's save file, SOURCE_TO_CONCEPT_MAP, aatm's output."""

import csv
import time
from typing import IO, Any

from .mapped import MappedTerm
from .terms import USAGI
from .writers import Origin, Writer, others

_BEFORE = ("sourceCode", "sourceName", "sourceFrequency", "sourceAutoAssignedConceptIds")
_INFO = ("ADD_INFO:matchedAs", "ADD_INFO:otherCandidates")
_AFTER = (
    *("matchScore", "mappingStatus", "equivalence", "statusSetBy", "statusSetOn", "conceptId", "conceptName"),
    *("domainId", "mappingType", "comment", "createdBy", "createdOn", "assignedReviewer"),
)
_NO_MATCH = "no match"


class UsagiWriter(Writer):
    """Usagi's save file (WriteCodeMappingsToFile.java): one row per term, since further rows would be further targets.

    Terms that were decided before keep their rows, and columns of their own, as they were. The other candidates' ids
    are `sourceAutoAssignedConceptIds`, to which Usagi can restrict its search. A term that a source list has twice, one
    right after the other, is one row, with the sum of the frequencies.
    """

    def __init__(self, stream: IO[str], origin: Origin) -> None:
        """Write the header, with the further columns of a Usagi file that is gone on with."""
        self._stream, self._origin = stream, origin
        self._now = time.time_ns() // 1_000_000
        self._held: dict[str, Any] = {}  # the last row: the next may be of the same term
        before = origin.source_columns if set(origin.source_columns) >= USAGI else ()
        further = [column for column in before if column not in {*_BEFORE, *_INFO, *_AFTER}]
        self._columns = [*_BEFORE, *further, *_INFO, *_AFTER]
        self._line(dict(zip(self._columns, self._columns, strict=True)))

    def write(self, mapped: MappedTerm) -> None:
        """Write one term's rows."""
        own = mapped.term.rows[0] if mapped.term.rows else {}
        before = own if own.keys() >= USAGI else {}
        if mapped.decision == "decided":
            self._release()
            for row in mapped.term.rows:
                self._line(row)  # its fields are escaped as Usagi wrote them
            return
        row = self._row(mapped, before)
        if all(self._held.get(name) == row[name] for name in ("sourceCode", "sourceName")):
            counts = [int(each["sourceFrequency"]) for each in (self._held, row)]
            self._held["sourceFrequency"] = sum(count for count in counts if count >= 0) if max(counts) >= 0 else -1
            return
        self._release()
        self._held = row

    def close(self) -> None:
        """Write the row that is held back."""
        self._release()

    def _release(self) -> None:
        if self._held:
            self._line(self._held)
            self._held = {}

    def _row(self, mapped: MappedTerm, before: dict[str, str]) -> dict[str, Any]:
        term, first, accepted = mapped.term, mapped.first, mapped.decision == "accepted"
        changes = f" ({'; '.join(mapped.reading.changes)})" if mapped.reading.changes else ""
        row: dict[str, Any] = {
            "sourceCode": term.code,
            "sourceName": term.name,
            "sourceFrequency": -1 if term.frequency is None else term.frequency,
            "sourceAutoAssignedConceptIds": ";".join(each.concept.id for each in mapped.proposed),
            "ADD_INFO:matchedAs": mapped.reading.text + changes,
            "ADD_INFO:otherCandidates": others(mapped),
            "matchScore": f"{max(mapped.proposed[0].score, 0):.2f}" if mapped.proposed else "0.00",
            "mappingStatus": "APPROVED" if accepted else "UNCHECKED",
            "equivalence": "UNREVIEWED",
            "statusSetBy": self._origin.tool if accepted else "",
            "statusSetOn": self._now if accepted else 0,
            "conceptId": 0 if first is None else first.concept.id,
            "conceptName": "Unmapped" if first is None else first.concept.name,
            "domainId": "" if first is None else first.concept.domain,
            "mappingType": "MAPS_TO",
            "comment": "" if first else _NO_MATCH,
            "createdBy": "" if first is None else self._origin.tool,
            "createdOn": 0 if first is None else self._now,
            "assignedReviewer": "",
        }
        row = {name: str(value).replace("\\", "\\\\") for name, value in row.items()}
        kept = [name for name in ("sourceCode", "sourceName", "comment", "assignedReviewer") if before.get(name)]
        if before.get("comment") == _NO_MATCH:  # said by an earlier run
            kept.remove("comment")
        return {**before, **row, **{name: before[name] for name in kept}}

    def _line(self, row: dict[str, Any]) -> None:
        """Usagi reads line by line, and takes quotes only around a whole field."""
        fields = (str(row.get(column, "")).replace("\r", "").replace("\n", "\\n") for column in self._columns)
        self._stream.write(",".join(map(_quoted, fields)) + "\n")


def _quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if any(mark in field for mark in ',"') else field


_STCM = (
    *("source_code", "source_concept_id", "source_vocabulary_id", "source_code_description", "target_concept_id"),
    *("target_vocabulary_id", "valid_start_date", "valid_end_date", "invalid_reason"),
)


class StcmWriter(Writer):
    """SOURCE_TO_CONCEPT_MAP (OMOP CDM 5.4): only mappings that were accepted, now or before.

    Its `target_vocabulary_id` must not be empty, or the table is not loaded: a concept that the vocabulary does not
    have is left out, as by Usagi.
    """

    def __init__(self, stream: IO[str], origin: Origin) -> None:
        """Write the header."""
        self._writer = csv.DictWriter(stream, _STCM, lineterminator="\n")
        self._writer.writeheader()
        self._origin = origin
        self._written: set[tuple[str, str, str]] = set()

    def write(self, mapped: MappedTerm) -> None:
        """Write a row for every accepted target, once: joins with this table would count a second one twice."""
        if mapped.decision not in ("accepted", "decided"):
            return
        term, vocabulary = mapped.term, mapped.term.vocabulary or self._origin.source_vocabulary
        for target in mapped.targets:
            if not target.vocabulary or (key := (vocabulary, term.code, target.id)) in self._written:
                continue
            self._written.add(key)
            row = {
                "source_code": term.code,
                "source_concept_id": term.says("source_concept_id") or 0,
                "source_vocabulary_id": vocabulary,
                "source_code_description": term.name[:255],
                "target_concept_id": target.id,
                "target_vocabulary_id": target.vocabulary,
                "valid_start_date": "1970-01-01",
                "valid_end_date": "2099-12-31",
                "invalid_reason": "",
            }
            self._writer.writerow(row)


_AATM = (
    *("source_code", "source_concept_id", "source_vocabulary_id", "source_code_description", "valid_start_date"),
    *("valid_end_date", "invalid_reason", "target_concept_id", "target_vocabulary_id", "target_vocabulary_code"),
    *("domain_id", "confidence_score", "source_code_description_original"),
)
_AATM_SOURCE = ("source_concept_id", "valid_start_date", "valid_end_date", "invalid_reason")


class AatmWriter(Writer):
    """aatm's mapped_source_concepts.csv (aatm 0.1.7), with the reranker's score as the confidence.

    As in aatm, the dates and the `invalid_reason` are those of the source's concept.
    """

    def __init__(self, stream: IO[str], origin: Origin) -> None:
        """Write the header."""
        self._writer = csv.DictWriter(stream, _AATM, lineterminator="\n")
        self._writer.writeheader()
        self._origin = origin

    def write(self, mapped: MappedTerm) -> None:
        """Write a row of each target, or one without."""
        term = mapped.term
        row: dict[str, Any] = {
            **{column: term.says(column) for column in _AATM_SOURCE},
            "source_code": term.code,
            "source_vocabulary_id": term.vocabulary or self._origin.source_vocabulary,
            "source_code_description": mapped.reading.text,
            "source_code_description_original": term.name,
            "confidence_score": None if mapped.first is None else mapped.first.score,
        }
        for target in mapped.targets:
            row |= {
                "target_concept_id": target.id,
                "target_vocabulary_id": target.vocabulary,
                "target_vocabulary_code": target.code,
                "domain_id": target.domain,
            }
            self._writer.writerow(row)
        if not mapped.targets:
            self._writer.writerow(row)
