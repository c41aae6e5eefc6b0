"""Medical words put together from their parts, with what they say: "nephrectomy", "removal of kidney".

Some of them nobody has a use for; they teach the parts, so that a word put together from them is understood.
"""

import random
from collections.abc import Iterator

from recipe.sources import Concept, read_parts

SAID = 4  # synonyms of a word
TURNED = 0.5  # of the concepts are named by what the word says, and the word asks for them


def load_composed() -> list[Concept]:
    """Parts of the body with what happens to them, and substances with what there is too much or too little of."""
    draw = random.Random(0)
    return [one_of(words, said, draw) for words, said in [*of_organs(), *of_substances()]]


def of_organs() -> Iterator[tuple[list[str], list[str]]]:
    """Words of each root and ending, and what they say."""
    parts = read_parts("word_parts.txt")
    for root, nouns, adjectives in (line.split(" = ") for line in parts["roots, nouns, adjectives"]):
        for ending, said in (line.split(" = ") for line in parts["endings"]):
            words = [joined(one, ending) for one in root.split()]
            yield words, [s.format(n=n, a=a) for s in said.split(", ") for n, a in pairs(nouns, adjectives)]


def pairs(nouns: str, adjectives: str) -> Iterator[tuple[str, str]]:
    """Each noun with an adjective."""
    ways = adjectives.split(", ")
    yield from ((noun, ways[at % len(ways)]) for at, noun in enumerate(nouns.split(", ")))


def of_substances() -> Iterator[tuple[list[str], list[str]]]:
    """Too much or too little of each substance."""
    parts = read_parts("word_parts.txt")
    for root, nouns in (line.split(" = ") for line in parts["substances"]):
        for change, said in (line.split(" = ") for line in parts["changes"]):
            before, ending = change.split()
            of_it = root.split()[-1 if ending == "uria" else 0]  # "kalemia", but "kaliuria"
            yield [before + joined(of_it, ending)], [s.format(n=n) for s in said.split(", ") for n in nouns.split(", ")]


def joined(root: str, ending: str) -> str:
    """A root with an ending, "gastr-o-scopy"."""
    if ending[0] not in "aeiou":
        return f"{root}o{ending}"
    return root.removesuffix(ending[0]) + ending


def one_of(words: list[str], said: list[str], draw: random.Random) -> Concept:
    """The concept of some words, by one of its strings."""
    texts = list(dict.fromkeys(draw.sample(said, min(SAID, len(said)))))
    name, *others = [texts[0], *words] if draw.random() < TURNED else [words[0], *words[1:], *texts]
    return Concept(f"composed:{words[0]}", name, [(text, "EXACT") for text in others])
