"""SSSOM, the exchange format of mappings between ontologies."""

import csv
import re
import shutil
import tempfile
from typing import IO
from urllib.parse import quote

from ..vocabulary import Concept
from .mapped import MappedTerm
from .term import Term, is_tool
from .writers import Origin, Writer

_COLUMNS = (
    *("subject_id", "subject_label", "predicate_id", "object_id", "object_label", "mapping_justification"),
    *("mapping_tool", "mapping_date", "similarity_score", "similarity_measure", "match_string", "comment"),
)
ATHENA = "https://athena.ohdsi.org/search-terms/terms/"  # what the prefix of OMOP's concept ids stands for
_CURIE = re.compile(r"([A-Za-z][\w.-]*):(?!//)[^\s:]+")
_SAME = "skos:exactMatch"
_BY_THRESHOLD = "semapv:SemanticSimilarityThresholdMatching"
# Of Usagi's equivalences.
_PREDICATES = {"WIDER": "skos:broadMatch", "NARROWER": "skos:narrowMatch", "INEXACT": "skos:closeMatch"}


class SssomWriter(Writer):
    """SSSOM TSV: one proposal per term, `sssom:NoTermFound` where nothing matches, and what was approved before.

    The score is a similarity_score, not a confidence: whether it is the probability of a right mapping depends on the
    terms, and `aatm-onnx evaluate` says so of them.
    """

    def __init__(self, stream: IO[str], origin: Origin) -> None:
        """Hold all rows back in a temporary file: metadata that name every prefix come before them."""
        self._stream, self._origin = stream, origin
        self._fixed = {
            origin.target_prefix: ATHENA,
            "skos": "http://www.w3.org/2004/02/skos/core#",
            "semapv": "https://w3id.org/semapv/vocab/",
            "sssom": "https://w3id.org/sssom/",
        }
        self._sources: dict[str, str] = {}
        self._targets: dict[str, str] = {}
        self._body = tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115  # closed in close
        self._writer = csv.DictWriter(self._body, _COLUMNS, delimiter="\t", lineterminator="\n")
        self._writer.writeheader()

    def write(self, mapped: MappedTerm) -> None:
        """Write one row, or one of each target that was approved before."""
        subject = {"subject_id": self._subject(mapped.term), "subject_label": mapped.term.name}
        if mapped.decision == "decided":
            for target, approved in zip(mapped.targets, mapped.term.approved, strict=True):
                by_tool = is_tool(approved.by)
                row = {
                    "predicate_id": _PREDICATES.get(approved.equivalence, _SAME),
                    "mapping_justification": _BY_THRESHOLD if by_tool else "semapv:ManualMappingCuration",
                    "mapping_tool": approved.by if by_tool else "",
                    "comment": "accepted" if by_tool else mapped.term.status,
                }
                self._writer.writerow(subject | self._object(target) | row)
            return
        row = {
            "predicate_id": _SAME,
            "object_id": "sssom:NoTermFound",
            "mapping_justification": _BY_THRESHOLD,
            "mapping_tool": self._origin.tool,
            "mapping_date": self._origin.today.isoformat(),
            "match_string": mapped.reading.text,
            "comment": mapped.decision,
        }
        if (first := mapped.first) is not None:
            row |= self._object(first.concept) | {
                "similarity_score": f"{min(max(first.score, 0.0), 1.0):.4f}",
                "similarity_measure": self._origin.model,
            }
        self._writer.writerow(subject | row)

    def close(self) -> None:
        """Write the metadata, then the rows."""
        prefixes = self._sources | self._targets | self._fixed
        self._stream.write("#curie_map:\n" + "".join(f'#  {name}: "{uri}"\n' for name, uri in prefixes.items()))
        self._stream.write(f"#mapping_set_id: {self._origin.set_id}\n")
        self._stream.write("#license: https://w3id.org/sssom/license/unspecified\n")
        with self._body as body:
            body.seek(0)
            shutil.copyfileobj(body, self._stream)

    def _subject(self, term: Term) -> str:
        """The code with its vocabulary as the prefix; `OMOP` means concept ids, so codes of that name get another."""
        name = re.sub(r"[^\w.-]", "_", term.vocabulary or self._origin.source_vocabulary) or "LOCAL"
        prefix = name if name[0].isalpha() and name not in self._fixed else f"source_{name}"
        self._sources[prefix] = f"urn:local:{name}:"
        return f"{prefix}:{quote(term.code, safe='')}"

    def _object(self, concept: Concept) -> dict[str, str]:
        curie = _CURIE.fullmatch(concept.id)
        if curie:
            self._targets[curie[1]] = f"http://purl.obolibrary.org/obo/{curie[1]}_"  # what OBO's format says
        object_id = concept.id if curie else f"{self._origin.target_prefix}:{quote(concept.id, safe='')}"
        return {"object_id": object_id, "object_label": concept.name}
