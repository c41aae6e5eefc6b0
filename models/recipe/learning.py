"""What the default model learns from, source by source, and what must stay out of it."""

import random
from dataclasses import dataclass
from functools import cache

from recipe.coding import load_operations, short_titles
from recipe.composed import load_composed
from recipe.generated import load_laboratory, load_medicines, load_spellings
from recipe.laboratory import usual_analytes
from recipe.ontologies import apart_from, load_go, load_mesh, load_mondo, load_substances, without_words
from recipe.sources import Concept, held_out_strings, load_hpo, load_icd, refuse_forbidden, training_concepts
from recipe.spelling import as_read
from recipe.unseen import LONG_WORD, unseen_strings
from recipe.wording import telegram

VOTING, VOTING_PATTERNS, TYPED = 20_000, 4_000, 20_000  # strings of a source that have a say in tokenizer and rarity
SAID = 20  # votes of what people call an analyte, so that "WBC" is one token


@dataclass
class Source:
    """How much a source gives to learn from."""

    share: float  # of the rows, relative
    asked: int  # of its synonyms, at most
    taught: int  # of its strings whose meaning MiniLM tells, at most


SOURCES = {
    "hpo": Source(0.5, 30_000, 25_000),
    "icd": Source(0.65, 24_000, 25_000),
    "mondo": Source(0.35, 45_000, 40_000),
    "mesh": Source(0.2, 16_000, 31_000),
    "go": Source(0.06, 8_000, 12_000),
    "substances": Source(0.15, 15_000, 8_000),
    "operations": Source(0.04, 6_000, 4_000),
    "laboratory": Source(0.13, 12_000, 3_000),
    "medicines": Source(0.13, 12_000, 3_000),
    "spellings": Source(0.25, 15_000, 0),
    "composed": Source(0.12, 12_000, 5_000),
}
PATTERNS = ("operations", "laboratory", "medicines", "spellings", "composed")


def learning_sources(tested: dict[str, list[Concept]]) -> dict[str, list[Concept]]:
    """What there is to learn from: nothing that is held out or stands in a terminology that is to stay unseen."""
    forbidden = forbidden_strings()
    drugs = {text for text in unseen_strings() if LONG_WORD.fullmatch(text)}
    learned = {n: training_concepts(c, forbidden) for n, c in tested.items()}
    short = short_titles()
    for concept in learned["icd"]:
        if (title := short.get(concept.id)) and as_read(title) not in forbidden:
            concept.synonyms.append((title, "EXACT"))
    more = {"mondo": load_mondo(), "mesh": load_mesh(), "go": load_go()}
    more["substances"] = without_words(load_substances(), drugs)[::3]
    learned |= {n: apart_from(c, forbidden) for n, c in more.items()}
    refuse_forbidden(learned, forbidden)
    return learned | {
        "operations": load_operations(),
        "laboratory": load_laboratory(),
        "medicines": load_medicines(drugs),
        "spellings": load_spellings(drugs),
        "composed": apart_from(load_composed(), forbidden),
    }


@cache
def forbidden_strings() -> set[str]:
    """Every string that is held out, or stands in a terminology that is to stay unseen, as it is read."""
    return set.union(*(held_out_strings(load()) for load in (load_hpo, load_icd))) | unseen_strings()


def strings(concepts: list[Concept], count: int) -> list[str]:
    """Names and synonyms, `count` of them at most."""
    found = [t for c in concepts for t in c.strings]
    return random.Random(0).sample(found, min(count, len(found)))


def voting_strings(learned: dict[str, list[Concept]]) -> list[str]:
    """Strings of all sources, some of them also as clinics type them, and what people call analytes."""
    found = [t for n, c in learned.items() for t in strings(c, VOTING_PATTERNS if n in PATTERNS else VOTING)]
    draw = random.Random(0)
    typed = [telegram(t, draw) for t in draw.sample(found, min(TYPED, len(found)))]
    return found + typed + SAID * [t for analyte in usual_analytes() for t in (analyte.name, *analyte.said)]
