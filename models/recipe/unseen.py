"""A vocabulary that training never saw: drugs, procedures, body parts of WordNet 3 (WordNet licence), for testing only.

A synset's first word is its name, the others are asked for; Debian and Ubuntu carry the file in `wordnet-base`.
"""

import random
from pathlib import Path

from recipe.pool import NgramIndex, Question
from recipe.sources import fold

ROOTS = {"drugs": "drug", "procedures": "medical_procedure", "body parts": "body_part"}


def read_nouns(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Noun synsets by offset: words (underscores kept) and offsets of what they are a kind of."""
    nouns = {}
    for line in (folder / "data.noun").read_text(encoding="latin-1").splitlines():
        if not line.startswith(" "):
            fields = line.split(" | ")[0].split()
            count = int(fields[3], 16)
            words = fields[4 : 4 + 2 * count : 2]
            pointers = fields[5 + 2 * count :]
            kinds = [pointers[i + 1] for i in range(0, len(pointers) - 3, 4) if pointers[i] in ("@", "@i")]
            nouns[fields[0]] = (words, kinds)
    return nouns


def wordnet_questions(folder: Path, count: int, seed: int = 0) -> dict[str, list[Question]]:
    """For each root, synonyms with the 50 nearest names of that root's own synsets."""
    nouns = read_nouns(folder)
    children: dict[str, list[str]] = {}
    for offset, (_, kinds) in nouns.items():
        for kind in kinds:
            children.setdefault(kind, []).append(offset)
    found = {}
    for label, root in ROOTS.items():
        first = next(o for o, (words, _) in nouns.items() if words[0] == root)
        below, waiting = {first}, [first]
        while waiting:
            fresh = [o for o in children.get(waiting.pop(), []) if o not in below]
            below.update(fresh)
            waiting.extend(fresh)
        synsets = [[w.replace("_", " ") for w in nouns[o][0]] for o in sorted(below)]
        index = NgramIndex([words[0] for words in synsets])
        asked = [(w, i) for i, words in enumerate(synsets) for w in words[1:] if fold(w) != fold(words[0])]
        asked = sorted(random.Random(seed).sample(asked, min(count, len(asked))))
        pools = index.nearest([text for text, _ in asked])
        found[label] = [
            Question(text, [index.names[i] for i in pool], pool.tolist().index(gold) if gold in pool else None)
            for (text, gold), pool in zip(asked, pools, strict=True)
        ]
    return found
