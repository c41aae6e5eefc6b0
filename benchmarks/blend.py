"""Would another order of candidates be better than the mean of the model's two scores? Hit@1 of several.

    python benchmarks/blend.py

A candidate that was found by a synonym is asked about twice (aatm_onnx/vocabulary/both_names.py): "found" is the share
of the found name's score beside the preferred name's, and "similarity" what the search's similarity adds. "decimals" of
that count, and what agrees in them keeps the search's order; 0.5, 0 and all of them is the order of `map`. A choice may
only be made on terms that development may look at: concepts of HPO, ICD-10-CM and drugs held out for it ("dev"), of
each one synonym, so that "all" keeps its others. The terminologies that training never saw show what a choice does to
them. "names" and "all" are the vocabularies of benchmarks/mapping.py.
Needs what `make .venv/eval-ready` installs, for its data.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import aatm_onnx  # noqa: F401  # before anything else can import ONNX Runtime: no telemetry

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from mapping import drawn, items  # noqa: E402
from recipe.learning import HELD_OUT  # noqa: E402
from recipe.lists import LISTS, tested  # noqa: E402
from recipe.sources import split_of  # noqa: E402
from recipe.unseen import GROUPS  # noqa: E402

from aatm_onnx import load_reranker  # noqa: E402
from aatm_onnx.mapping.propose import TEXTS_AT_ONCE  # noqa: E402
from aatm_onnx.reranker import Reranker  # noqa: E402
from aatm_onnx.vocabulary import Match, Vocabulary, build_vocabulary  # noqa: E402

ALL = 15  # decimals
ORDERS = (  # share of the found name's score, share of the similarity, decimals
    *((0.5, 0.0, ALL), (0.5, 0.0, 2), (0.5, 0.02, ALL), (0.5, 0.1, ALL), (0.5, 1.0, ALL)),
    *((0.25, 0.0, ALL), (0.25, 0.0, 2), (0.25, 0.02, ALL), (0.0, 0.0, ALL)),
)
Answers = list[NDArray[np.float64]]  # of each term (candidates, 4): similarity, found name's, preferred name's, right


def one_each(concepts: list[Any]) -> dict[str, str]:
    """A synonym of each dev concept, with the concept's id."""
    draw = random.Random(0)
    chosen = [each for each in concepts if split_of(each) == "dev" and each.exact]
    return {draw.choice(each.exact): each.id for each in chosen}


def answers_of(vocabulary: Vocabulary, reranker: Reranker, terms: dict[str, str]) -> Answers:
    """What search and model say of all candidates of all terms, in the search's order."""
    texts, rows = list(terms), []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = texts[start : start + TEXTS_AT_ONCE]
        found = [vocabulary.search(text, 50) for text in some]
        named = [[match.text for match in matches] + [match.concept.name for match in matches] for matches in found]
        scored = reranker.score_pairs(some, named)
        for text, matches, pairs in zip(some, found, scored, strict=True):
            rows.append(_table(matches, [pair.score for pair in pairs], terms[text]))
    return rows


def _table(matches: list[Match], scores: list[float], right: str) -> NDArray[np.float64]:
    count = len(matches)
    rows = []
    for match, found, name in zip(matches, scores[:count], scores[count:], strict=True):
        alone = match.similarity == 1  # the very term decides alone
        rows.append((match.similarity, found, found if alone else name, match.concept.id == right))
    return np.array(rows, np.float64).reshape(-1, 4)


def hit(answers: Answers, found: float, similarity: float, decimals: int) -> float:
    """Hit@1 of an order."""
    sums = ((1 - found) * row[:, 2] + found * row[:, 1] + similarity * row[:, 0] for row in answers)
    keys = [np.round(each, decimals) for each in sums]
    return float(np.mean([len(row) > 0 and row[np.argmax(key), 3] for row, key in zip(answers, keys, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terms", type=int, default=500, help="of each terminology that training never saw")
    options = parser.parse_args()
    reranker = load_reranker("default", provider="cpu")
    for number, label in enumerate(("found", "similarity", "decimals")):
        print(f"{label:<34}" + "".join(f"{order[number]:>7g}" for order in ORDERS) + f"{'search':>8}")
    for name, load in LISTS.items():
        concepts = load()
        if name in HELD_OUT:
            label, terms = f"{name}, dev", one_each(concepts)
        else:
            label, terms = name, drawn(concepts, tested(name), options.terms)
        for kind in ("names",) if name in GROUPS else ("names", "all"):
            with tempfile.TemporaryDirectory() as folder:
                vocabulary = build_vocabulary(items(concepts, terms, kind == "all"), Path(folder) / "v")
                answers = answers_of(vocabulary, reranker, terms)
            line = "".join(f"{hit(answers, *order):>7.3f}" for order in ORDERS)
            search = np.mean([len(row) > 0 and row[0, 3] for row in answers])
            print(f"{f'{label}, {kind}':<28}{len(terms):>6}{line}{search:>8.3f}", flush=True)


if __name__ == "__main__":
    main()
