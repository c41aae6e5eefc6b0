"""What the default model learns from, source by source, and what must stay out of it."""

import random
from dataclasses import dataclass
from functools import cache

from recipe.coding import load_operations, short_titles
from recipe.composed import load_composed
from recipe.drugs import held_out_words, load_drugs, substances_of_drugs
from recipe.generated import load_laboratory, load_medicines, load_spellings
from recipe.icd9 import load_diagnoses
from recipe.laboratory import usual_analytes
from recipe.notes import noted_names
from recipe.ontologies import apart_from, load_chemicals, load_go, load_mesh, load_mondo, load_substances, without_words
from recipe.sources import Concept, held_out_strings, load_hpo, load_icd, refuse_forbidden, training_concepts
from recipe.spelling import as_read
from recipe.unseen import tested_analytes, unseen_strings
from recipe.wording import telegram

VOTING, VOTING_LESS, TYPED = 20_000, 5_000, 20_000  # strings of a source that have a say in tokenizer and rarity
SAID = 20  # votes of what people call an analyte, so that "WBC" is one token
SOLD, OFTEN = 8, 1000  # votes of a drug's name, and of how many drugs: those with most names are the commonest


@dataclass
class Source:
    """How much a source gives to learn from."""

    share: float  # of the rows, relative
    asked: int  # of its synonyms, at most
    taught: int  # of its strings whose meaning MiniLM tells, at most


HELD_OUT = {"HPO": load_hpo, "ICD-10-CM": load_icd, "drugs": load_drugs}  # of which some concepts are for testing
SOURCES = {
    "HPO": Source(0.55, 30_000, 25_000),
    "ICD-10-CM": Source(0.8, 27_000, 25_000),
    "ICD-9-CM": Source(0.15, 24_000, 10_000),
    "Mondo": Source(0.35, 45_000, 40_000),
    "MeSH": Source(0.2, 16_000, 31_000),
    "GO": Source(0.06, 8_000, 12_000),
    "drugs": Source(0.12, 30_000, 12_000),
    "chemicals": Source(0.06, 16_000, 8_000),
    "substances": Source(0.1, 15_000, 8_000),
    "operations": Source(0.04, 6_000, 4_000),
    "laboratory": Source(0.13, 12_000, 3_000),
    "medicines": Source(0.13, 12_000, 3_000),
    "spellings": Source(0.25, 15_000, 0),
    "composed": Source(0.12, 12_000, 5_000),
}
BROADER = {  # what stands above a concept
    "HPO": Source(0.08, 20_000, 0),
    "ICD-10-CM": Source(0.16, 40_000, 0),
    "Mondo": Source(0.06, 20_000, 0),
}
PATTERNS = ("operations", "laboratory", "medicines", "spellings", "composed")
LESS_HEARD = (*PATTERNS, "drugs", "chemicals")  # tokens for their brands would be lost to other words


@cache
def learning_sources() -> dict[str, list[Concept]]:
    """What there is to learn from: nothing that is held out."""
    forbidden, drugs = forbidden_strings(), held_out_words()
    learned = {n: training_concepts(load(), forbidden) for n, load in HELD_OUT.items()}
    short, noted = short_titles(), noted_names()
    for concept in learned["ICD-10-CM"]:
        add_synonyms(concept, [*noted.get(concept.id, []), short.get(concept.id, concept.name)], forbidden)
    more = {"ICD-9-CM": load_diagnoses(), "Mondo": load_mondo(), "MeSH": load_mesh(), "GO": load_go()}
    more["chemicals"] = without_words(load_chemicals(), drugs)
    substances = load_substances()
    more["substances"] = without_words(substances, drugs)[::3]
    learned |= {n: apart_from(c, forbidden) for n, c in more.items()}
    learned["drugs"] = without_words(learned["drugs"], drugs)
    refuse_forbidden(learned, forbidden)
    return learned | {
        "operations": load_operations(),
        "laboratory": load_laboratory(),
        "medicines": load_medicines(substances_of_drugs(held_out=False), [c.name for c in substances], drugs),
        "spellings": load_spellings(drugs),
        "composed": apart_from(load_composed(), forbidden),
    }


def add_synonyms(concept: Concept, texts: list[str], forbidden: set[str]) -> None:
    """What else a concept is called: nothing that is read as what it has or as a `forbidden` string."""
    taken = {as_read(text) for text in concept.strings}
    for text in texts:
        read = as_read(text)
        if read not in taken and read not in forbidden:
            taken.add(read)
            concept.synonyms.append((text, "EXACT"))


@cache
def forbidden_strings() -> set[str]:
    """Every string that is held out, as it is read."""
    held_out = set.union(*(held_out_strings(load()) for load in HELD_OUT.values()))
    return held_out | {as_read(name) for name in tested_analytes()}


@cache
def learned_strings() -> set[str]:
    """Every string of what there is to learn from, as it is read: no test asks it."""
    return {as_read(t) for concepts in learning_sources().values() for c in concepts for t in c.strings}


def untold_strings() -> set[str]:
    """What a test may ask, as it is read: MiniLM may not tell what it means."""
    return forbidden_strings() | (unseen_strings() - learned_strings())


def strings(concepts: list[Concept], count: int) -> list[str]:
    """Names and synonyms, `count` of them at most."""
    found = [t for c in concepts for t in c.strings]
    return random.Random(0).sample(found, min(count, len(found)))


def voting_strings(learned: dict[str, list[Concept]]) -> list[str]:
    """Strings of all sources, some of them also as clinics type them, and what people call analytes."""
    found = [t for n, c in learned.items() for t in strings(c, VOTING_LESS if n in LESS_HEARD else VOTING)]
    draw = random.Random(0)
    typed = [telegram(t, draw) for t in draw.sample(found, min(TYPED, len(found)))]
    said = [t for analyte in usual_analytes() for t in (analyte.name, *analyte.said)]
    return found + typed + SAID * said + SOLD * substances_of_drugs(held_out=False)[:OFTEN]
