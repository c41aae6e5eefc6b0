"""Long lists of names, as an OMOP vocabulary has them: real names, then real names varied; and questions about them.

A question is a synonym whose text is nowhere in the list; its answer is the row of its concept's name.
"""

import random
from pathlib import Path

from recipe.ontologies import load_go, load_mesh, load_mondo, load_substances
from recipe.sources import fold, load_hpo, load_icd

LOADS = (load_hpo, load_icd, load_mondo, load_mesh, load_go, load_substances)
QUALIFIERS = (
    *("left", "right", "bilateral", "severe", "acute", "chronic", "initial encounter", "subsequent encounter"),
    *("unspecified", "of foot", "due to trauma", "10 MG Oral Tablet", "100 ML Injection", "type 2", "in pregnancy"),
    *("history of", "measurement", "by method", "stage 3", "recurrent"),
)


def write_long_list(size: int, questions: int, path: Path) -> list[tuple[str, int]]:
    """Write a list of names, one a line.

    Args:
        size: how many names.
        questions: how many questions to draw, from all sources alike.
        path: the file.

    Returns:
        (synonym, row of its concept's name) of every question.
    """
    draw = random.Random(1)
    sources = [load() for load in LOADS]
    asked: dict[str, str] = {}  # a synonym's form, the name of its concept
    texts: list[str] = []
    for number, concepts in enumerate(sources):
        share = (questions - len(texts)) // (len(sources) - number)
        every = [(text, concept.name) for concept in concepts for text in concept.exact]
        for text, name in draw.sample(every, len(every)):
            if share and fold(text) not in asked and fold(text) != fold(name):
                asked[fold(text)] = " ".join(name.split())
                texts.append(text)
                share -= 1
    names = {" ".join(text.split()) for concepts in sources for each in concepts for text in each.strings}
    real = sorted(name for name in names if fold(name) not in asked)
    draw.shuffle(real)
    answers = [name for name in dict.fromkeys(asked.values()) if fold(name) not in asked]
    rest = set(answers)
    rows = [*answers, *(name for name in real if name not in rest)]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(size):
            name = rows[number] if number < len(rows) else varied(draw.choice(real), draw.choice(real), draw)
            stream.write(name + "\n")
    row = {name: number for number, name in enumerate(answers)}
    return [(text, row[asked[fold(text)]]) for text in texts if asked[fold(text)] in row]


def varied(text: str, other: str, draw: random.Random) -> str:
    """A name as a large vocabulary has it: qualified, combined, turned round."""
    words, qualifier = text.split(), draw.choice(QUALIFIERS)
    shuffled = " ".join(draw.sample(words, len(words)))
    combined = f"{text} with {' '.join(other.split()[:2])}"
    return draw.choice([f"{text}, {qualifier}", f"{qualifier} {text}", combined, f"{shuffled} {qualifier}"])
