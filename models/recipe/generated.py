"""Training terminologies built by pattern: laboratory tests, medicines and spellings of substances."""

import random
import re

from recipe.foreign import as_salt, foreign, in_two
from recipe.laboratory import Analyte, laboratory, usual_analytes
from recipe.medicines import invent, medicines
from recipe.ontologies import load_substances, read_mesh
from recipe.sources import Concept
from recipe.spelling import as_read

ORGANISMS, DRUGS, SUBSTANCES, INVENTED = 300, 1200, 500, 500
SPELT_REAL, SPELT_INVENTED = 5000, 2500
ONE_WORD = re.compile(r"[A-Za-z]{5,14}")
OF_ORGANISMS = ("Ab", "Ab.IgG", "Ab.IgM", "Ag", "DNA", "RNA", "identified", "Ab.IgE", "rRNA")


def load_laboratory() -> list[Concept]:
    """Tests for what laboratories usually measure, and for traces of organisms."""
    draw = random.Random(0)
    organisms = [c.name for trees, c in read_mesh() if "B" in trees and "," not in c.name and len(c.name) < 30]
    traces = [f"{name} {draw.choice(OF_ORGANISMS)}" for name in draw.sample(organisms, ORGANISMS)]
    return laboratory([*usual_analytes(), *map(Analyte, traces)], "learned")


def load_medicines(drugs: list[str], chemicals: list[str], held_out: set[str]) -> list[Concept]:
    """Products of the first of these drugs, of some of these chemicals, and of substances that do not exist."""
    draw = random.Random(0)
    words = [name.lower() for name in chemicals if ONE_WORD.fullmatch(name)]
    some = draw.sample(words, min(SUBSTANCES, len(words)))
    names = [*drugs[:DRUGS], *some, *(invent(draw) for _ in range(INVENTED))]
    return medicines([name for name in dict.fromkeys(names) if as_read(name) not in held_out], "learned")


def load_spellings(held_out: set[str]) -> list[Concept]:
    """Chemicals, and substances that do not exist, with other spellings of theirs and their salts."""
    draw = random.Random(1)
    real = {c.name.lower() for c in load_substances() if ONE_WORD.fullmatch(c.name)}
    names = [*draw.sample(sorted(real), min(SPELT_REAL, len(real))), *(invent(draw) for _ in range(SPELT_INVENTED))]
    names = [name for name in dict.fromkeys(names) if len(name) > 6 and as_read(name) not in held_out]
    concepts = []
    for name in names:
        salt = as_salt(name, draw)
        texts = {foreign(name, draw), foreign(salt, draw) if draw.random() < 0.2 else salt}
        texts |= {in_two(name, draw)} if draw.random() < 0.3 else set()
        known = {as_read(name)} | (held_out & {as_read(t) for t in texts})
        concepts.append(
            Concept(f"spelt:{name}", name, [(t, "EXACT") for t in sorted(texts) if as_read(t) not in known])
        )
    return [concept for concept in concepts if concept.synonyms]
