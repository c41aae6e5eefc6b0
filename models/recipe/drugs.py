"""Drugs with their brands and other names, as the package `drug-named-entity-recognition` (MIT) carries them.

They come from DrugBank's open data, MeSH and MedlinePlus. Some are held out, as in HPO and ICD-10-CM, and no word that
is one's name comes back in another substance's.
"""

import bz2
import pickle
import re
from functools import cache

from recipe.ontologies import different
from recipe.sources import Concept, package_folder, split_of
from recipe.spelling import as_read

LONG_WORD = re.compile(r"\w{5,}")


def load_drugs() -> list[Concept]:
    """Drugs with a DrugBank number; whatever else they are called are their synonyms."""
    packed = (package_folder("drug_named_entity_recognition") / "drug_ner_dictionary.pkl.bz2").read_bytes()
    found = pickle.loads(bz2.decompress(packed))
    drugs = {name: [] for name, data in found["drug_canonical_to_data"].items() if "drugbank_id" in data}
    for variant, names in found["drug_variant_to_canonical"].items():
        if len(names) == 1 and names[0] in drugs:
            drugs[names[0]].append(variant)
    return [Concept(f"drug:{name}", name, different(name, variants)) for name, variants in drugs.items()]


def substances_of_drugs(held_out: bool) -> list[str]:
    """Drugs' names of one long word: of those held out, or of those to learn from, the one with most names first."""
    drugs = [c for c in load_drugs() if LONG_WORD.fullmatch(c.name) and (split_of(c) != "train") == held_out]
    return [c.name for c in sorted(drugs, key=lambda c: -len(c.synonyms))]


@cache
def held_out_words() -> set[str]:
    """Words that are the name of a held-out drug, as they are read."""
    strings = (as_read(t) for c in load_drugs() if split_of(c) != "train" for t in c.strings)
    return {text for text in strings if LONG_WORD.fullmatch(text)}
