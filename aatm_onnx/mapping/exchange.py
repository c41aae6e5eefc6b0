"""Output formats of other tools: Usagi's save file, SOURCE_TO_CONCEPT_MAP, aatm's output, SSSOM."""

import csv
import re
import time
from typing import IO, Any
from urllib.parse import quote

from .mapped import MappedTerm, Proposed
from .writers import Origin, Writer, others

_BEFORE = ("sourceCode", "sourceName", "sourceFrequency", "sourceAutoAssignedConceptIds")
_INFO = ("ADD_INFO:matchedAs", "ADD_INFO:otherCandidates")
_AFTER = (
    *("matchScore", "mappingStatus", "equivalence", "statusSetBy", "statusSetOn", "conceptId", "conceptName"),
    *("domainId", "mappingType", "comment", "createdBy", "createdOn", "assignedReviewer"),
)
_CURIE = re.compile(r"[A-Za-z][\w.-]*:[^\s:]+")


class UsagiWriter(Writer):
    """Usagi's save file (WriteCodeMappingsToFile.java): one row per term, since further rows would be further targets.

    Terms that were decided before keep their rows, and columns of their own, as they were. The other candidates' ids
    are `sourceAutoAssignedConceptIds`, to which Usagi can restrict its search. A term that a source list has twice, one
    right after the other, is one row, with the sum of the frequencies.
    """

    def __init__(self, stream: IO[str], origin: Origin) -> None:
        """The header is written with the first term, which says which further columns there are."""
        self._stream, self._origin = stream, origin
        self._now = time.time_ns() // 1_000_000
        self._columns: list[str] = []
        self._held: dict[str, Any] = {}  # the last row: the next may be of the same term

    def write(self, mapped: MappedTerm) -> None:
        """Write one term's rows.

        Raises:
            ValueError: a concept's id is not a number.
        """
        before = mapped.term.rows[0] if mapped.term.rows else {}
        if not self._columns:
            known = {*_BEFORE, *_INFO, *_AFTER}
            own = [column for column in before if column not in known] if "mappingStatus" in before else []
            self._columns = [*_BEFORE, *own, *_INFO, *_AFTER]
            self._line(dict(zip(self._columns, self._columns, strict=True)))
        if mapped.decision == "decided":
            self.close()
            for row in mapped.term.rows:
                self._line(row)  # its fields are escaped as Usagi wrote them
            return
        row = {**before, **{name: _escaped(str(value)) for name, value in self._row(mapped, before).items()}}
        if all(self._held.get(name) == row[name] for name in ("sourceCode", "sourceName")):
            counts = [int(each["sourceFrequency"]) for each in (self._held, row)]
            self._held["sourceFrequency"] = sum(count for count in counts if count >= 0) if max(counts) >= 0 else -1
            return
        self.close()
        self._held = row

    def close(self) -> None:
        """Write the row that is held back."""
        if self._held:
            self._line(self._held)
            self._held = {}

    def _row(self, mapped: MappedTerm, before: dict[str, str]) -> dict[str, Any]:
        term, first, accepted = mapped.term, mapped.first, mapped.decision == "accepted"
        changes = f" ({'; '.join(mapped.reading.changes)})" if mapped.reading.changes else ""
        row = {
            "sourceCode": term.code,
            "sourceName": term.name,
            "sourceFrequency": -1 if term.frequency is None else term.frequency,
            "sourceAutoAssignedConceptIds": before.get("sourceAutoAssignedConceptIds")
            or ";".join(str(usagi_id(each)) for each in mapped.proposed),
            "ADD_INFO:matchedAs": mapped.reading.text + changes,
            "ADD_INFO:otherCandidates": others(mapped.proposed),
            "matchScore": f"{max(mapped.proposed[0].score, 0):.2f}" if mapped.proposed else "0.00",
            "mappingStatus": "APPROVED" if accepted else "UNCHECKED",
            "equivalence": "UNREVIEWED",
            "statusSetBy": self._origin.tool if accepted else "",
            "statusSetOn": self._now if accepted else 0,
            "conceptId": 0 if first is None else usagi_id(first),
            "conceptName": "Unmapped" if first is None else first.concept.name,
            "domainId": "" if first is None else first.concept.domain,
            "mappingType": "MAPS_TO",
            "comment": "" if first else "no match",
            "createdBy": "" if first is None else self._origin.tool,
            "createdOn": 0 if first is None else self._now,
            "assignedReviewer": before.get("assignedReviewer", ""),
        }
        if term.rows and "mappingStatus" in before:  # a Usagi file's own words about the source stay
            row |= {"comment": before.get("comment", "") or row["comment"]}
        return row

    def _line(self, row: dict[str, Any]) -> None:
        """Usagi reads line by line, and takes quotes only around a whole field."""
        fields = (str(row.get(column, "")) for column in self._columns)
        self._stream.write(",".join(map(_quoted, fields)) + "\n")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\r", "").replace("\n", "\\n")


def _quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if any(mark in field for mark in ',"') else field


def usagi_id(proposed: Proposed) -> int:
    """A concept's id as a number.

    Raises:
        ValueError: it is not one.
    """
    try:
        return int(proposed.concept.id)
    except ValueError:
        raise ValueError(
            f"The concept id {proposed.concept.id!r} is not a number, as OMOP's are; use --format sssom, csv or jsonl."
        ) from None


_STCM = (
    *("source_code", "source_concept_id", "source_vocabulary_id", "source_code_description", "target_concept_id"),
    *("target_vocabulary_id", "valid_start_date", "valid_end_date", "invalid_reason"),
)


class StcmWriter(Writer):
    """SOURCE_TO_CONCEPT_MAP (OMOP CDM 5.4): only mappings that were accepted, now or before."""

    def __init__(self, stream: IO[str], origin: Origin) -> None:
        """Write the header."""
        self._writer = csv.DictWriter(stream, _STCM, lineterminator="\n")
        self._writer.writeheader()
        self._origin = origin
        self._written: set[tuple[str, str]] = set()

    def write(self, mapped: MappedTerm) -> None:
        """Write a row for every accepted target, once: who joins this table would count a second one twice.

        Raises:
            ValueError: the source has no vocabulary, or a concept's id is not a number.
        """
        if mapped.decision == "decided":
            approved = (row for row in mapped.term.rows if row["mappingStatus"] == "APPROVED")
            ids = (row["conceptId"] for row in approved if row["conceptId"] not in ("", "0"))
            targets = [(each, self._origin.vocabulary_of(each)) for each in ids]
        elif mapped.decision == "accepted" and mapped.first:
            targets = [(str(usagi_id(mapped.first)), mapped.first.concept.vocabulary)]
        else:
            return
        vocabulary = mapped.term.vocabulary or self._origin.source_vocabulary
        if not vocabulary:
            raise ValueError("SOURCE_TO_CONCEPT_MAP needs the source's vocabulary: give --source-vocabulary.")
        before = mapped.term.rows[0] if mapped.term.rows else {}
        for concept_id, target in targets:
            if (mapped.term.code, concept_id) in self._written:
                continue
            self._written.add((mapped.term.code, concept_id))
            row = {
                "source_code": mapped.term.code,
                "source_concept_id": before.get("source_concept_id") or 0,
                "source_vocabulary_id": vocabulary,
                "source_code_description": mapped.term.name[:255],
                "target_concept_id": concept_id,
                "target_vocabulary_id": target,
                "valid_start_date": before.get("valid_start_date") or "1970-01-01",
                "valid_end_date": before.get("valid_end_date") or "2099-12-31",
                "invalid_reason": before.get("invalid_reason", ""),
            }
            self._writer.writerow(row)


_AATM = (
    *("source_code", "source_concept_id", "source_vocabulary_id", "source_code_description", "valid_start_date"),
    *("valid_end_date", "invalid_reason", "target_concept_id", "target_vocabulary_id", "target_vocabulary_code"),
    *("domain_id", "confidence_score", "source_code_description_original"),
)


class AatmWriter(Writer):
    """aatm's mapped_source_concepts.csv (aatm 0.1.7), with the reranker's score as the confidence."""

    def __init__(self, stream: IO[str], origin: Origin) -> None:
        """Write the header."""
        self._writer = csv.DictWriter(stream, _AATM, lineterminator="\n", extrasaction="ignore")
        self._writer.writeheader()
        self._origin = origin

    def write(self, mapped: MappedTerm) -> None:
        """Write one row."""
        first, before = mapped.first, mapped.term.rows[0] if mapped.term.rows else {}
        row: dict[str, Any] = {
            **before,
            "source_code": mapped.term.code,
            "source_vocabulary_id": mapped.term.vocabulary or self._origin.source_vocabulary,
            "source_code_description": mapped.reading.text,
            "source_code_description_original": mapped.term.name,
        }
        if first is not None:
            row |= {
                "target_concept_id": first.concept.id,
                "target_vocabulary_id": first.concept.vocabulary,
                "target_vocabulary_code": first.concept.code,
                "domain_id": first.concept.domain,
                "confidence_score": first.score,
            }
        self._writer.writerow(row)


_SSSOM = (
    *("subject_id", "subject_label", "predicate_id", "object_id", "object_label", "mapping_justification"),
    *("subject_source", "object_source", "mapping_tool", "mapping_date", "similarity_score", "similarity_measure"),
    *("match_string", "comment"),
)


class SssomWriter(Writer):
    """SSSOM TSV: one proposal per term, `sssom:NoTermFound` where nothing matches.

    The score is a similarity_score, not a confidence: whether it is the probability of a right mapping depends on the
    terms, and `aatm-onnx evaluate` says so of them.
    """

    def __init__(self, stream: IO[str], origin: Origin) -> None:
        """Write metadata and header."""
        self._origin = origin
        self._prefix = _plain(origin.source_vocabulary) or "LOCAL"
        prefixes = {
            self._prefix: f"urn:local:{self._prefix}:",
            origin.target_prefix: "https://athena.ohdsi.org/search-terms/terms/",
            "skos": "http://www.w3.org/2004/02/skos/core#",
            "semapv": "https://w3id.org/semapv/vocab/",
            "sssom": "https://w3id.org/sssom/",
        }
        stream.write("#curie_map:\n" + "".join(f'#  {name}: "{uri}"\n' for name, uri in prefixes.items()))
        stream.write(f"#mapping_set_id: {origin.set_id}\n#license: https://w3id.org/sssom/license/unspecified\n")
        self._writer = csv.DictWriter(stream, _SSSOM, delimiter="\t", lineterminator="\n")
        self._writer.writeheader()

    def write(self, mapped: MappedTerm) -> None:
        """Write one row; a term that was decided before is left out, since its file says more of it."""
        if mapped.decision == "decided":
            return
        first = mapped.first
        row = {
            "subject_id": f"{self._prefix}:{quote(mapped.term.code, safe='')}",
            "subject_label": mapped.term.name,
            "predicate_id": "skos:exactMatch",
            "object_id": "sssom:NoTermFound",
            "mapping_justification": "semapv:SemanticSimilarityThresholdMatching",
            "subject_source": "",
            "mapping_tool": self._origin.tool,
            "mapping_date": self._origin.today.isoformat(),
            "match_string": mapped.reading.text,
            "comment": mapped.decision,
        }
        if first is not None:
            concept_id = first.concept.id
            row |= {
                "object_id": concept_id
                if _CURIE.fullmatch(concept_id)
                else f"{self._origin.target_prefix}:{concept_id}",
                "object_label": first.concept.name,
                "similarity_score": f"{min(max(first.score, 0.0), 1.0):.4f}",
                "similarity_measure": self._origin.model,
            }
        self._writer.writerow(row)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
