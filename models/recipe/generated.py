"""Training terminologies built by pattern: laboratory tests and medicines whose ingredients no test list has."""

import random
import re

from recipe.ontologies import load_substances, read_mesh
from recipe.patterns import invent, laboratory, medicines
from recipe.sources import Concept, fold, read_words

ORGANISMS, SUBSTANCES, INVENTED = 500, 1500, 700
ONE_WORD = re.compile(r"[A-Za-z]{5,14}")
OF_ORGANISMS = ("Ab", "Ab.IgG", "Ab.IgM", "Ag", "DNA", "RNA", "identified", "Ab.IgE", "rRNA")


def load_laboratory() -> list[Concept]:
    """Tests for common analytes, and for traces of organisms."""
    draw = random.Random(0)
    organisms = [c.name for trees, c in read_mesh() if "B" in trees and "," not in c.name and len(c.name) < 30]
    traces = [f"{name} {draw.choice(OF_ORGANISMS)}" for name in draw.sample(organisms, ORGANISMS)]
    return laboratory(read_words("analytes_learned.txt") + traces, "learned")


def load_medicines(drugs: set[str]) -> list[Concept]:
    """Products of chemicals that are no drugs, and of substances that do not exist."""
    draw = random.Random(0)
    real = [c.name.lower() for c in load_substances() if ONE_WORD.fullmatch(c.name) and fold(c.name) not in drugs]
    invented = [invent(draw) for _ in range(INVENTED)]
    return medicines([*draw.sample(real, SUBSTANCES), *(n for n in invented if n not in drugs)], "learned")
