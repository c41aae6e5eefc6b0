"""The default model's checkpoint from nothing: `python -m recipe.make OUT` in the folder `models`.

With `--only` it learns from some of the sources, so that another can be its test.
"""

import argparse
import random
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipe.batches import Encoder
from recipe.calibrate import calibrate
from recipe.checkpoint import Config, save_checkpoint
from recipe.means import train_words
from recipe.ontologies import apart_from, load_go, load_mesh, load_mondo, load_substances, without_words
from recipe.pool import NgramIndex, Question, questions
from recipe.rows import Draw, Row, make_terminology
from recipe.sources import Concept, fold, held_out_strings, load_hpo, load_icd, training_concepts
from recipe.teacher import open_teacher
from recipe.tokenizer import train_tokenizer
from recipe.unseen import unseen_strings
from recipe.vectors import edge_letters, occurrence_means, reduce_vectors, spelling_vectors
from recipe.wired import EDGE, WIDTH, Learned, wired_weights

VOCABULARY = 6144
STEPS = 2000
CANDIDATES = 25  # of a row
SPELLING = 106  # entries of a token vector that tell its letters; the others tell its meaning
PAIR_SEEN = (6.0, 0.22)  # how strongly a unit reads the two letters of its pair, so that it answers with about 1
LONG_WORD = re.compile(r"\w{5,}")
RARE = 0.3  # so often, relative to the mean, a token stands in training that gets half of its first spelling again
COUNTED_ROWS = 20_000
VOTING = 12_000  # strings of a source, at most, that have a say in tokenizer and vectors
SHARE = {"hpo": 0.35, "icd": 0.25, "mondo": 0.2, "mesh": 0.12, "go": 0.08, "substances": 0.35}  # of the rows, relative


def learning_sources(tested: dict[str, list[Concept]]) -> dict[str, list[Concept]]:
    """What there is to learn from: nothing that is held out or stands in a terminology that is to stay unseen."""
    unseen = unseen_strings()
    forbidden = set.union(*(held_out_strings(concepts) for concepts in tested.values())) | unseen
    drugs = {fold(text) for text in unseen if LONG_WORD.fullmatch(text)}
    more = {"mondo": load_mondo(), "mesh": load_mesh(), "go": load_go()}
    more["substances"] = without_words(load_substances(), drugs)[::3]
    return {n: training_concepts(c, forbidden) for n, c in tested.items()} | {
        n: apart_from(c, forbidden) for n, c in more.items()
    }


def dev_questions(concepts: list[Concept], count: int) -> list[Question]:
    """Questions on concepts that are neither in training nor in the test."""
    return questions(concepts, NgramIndex([c.name for c in concepts]), ("dev",), count)


def strings(concepts: list[Concept], count: int) -> list[str]:
    """Names and synonyms, `count` of them at most."""
    found = [t for c in concepts for t in c.strings]
    return random.Random(0).sample(found, min(count, len(found)))


def train(learned: dict[str, list[Concept]], steps: int, seed: int) -> tuple[Encoder, Learned]:
    """A tokenizer and what is to be wired, out of these sources."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    voting = [t for n, c in learned.items() for t in strings(c, VOTING) * (2 if n == "hpo" else 1)]
    encoder = Encoder(train_tokenizer(voting, VOCABULARY))
    means = occurrence_means(open_teacher(device), encoder.tokenizer, sorted(set(voting)))
    first = untrained(encoder, means)
    print("MiniLM's vectors are there; now the pools", flush=True)
    draw = Draw([make_terminology(concepts) for concepts in learned.values()], [SHARE[n] for n in learned], CANDIDATES)
    words = train_words(first, draw, encoder, steps, device, seed)
    return encoder, spelling_kept(words, first, token_counts(encoder, draw.rows(COUNTED_ROWS, seed)))


def token_counts(encoder: Encoder, rows: list[Row]) -> np.ndarray:
    """How often each token stands in a query or its answer, (vocabulary,), relative to the mean."""
    ids = encoder.ids([text for row in rows for text in (row.query, row.candidates[0])])
    counts = np.bincount(np.concatenate(ids), minlength=encoder.tokenizer.get_vocab_size())
    return counts / counts.mean()


def spelling_kept(words: Learned, first: Learned, counts: np.ndarray) -> Learned:
    """The rarer a token was in training, the more of its first spelling is added again.

    What was fitted to a few terms tells little of others; terms that nobody ever saw are made of such tokens.
    """
    vectors = words.vectors.copy()
    vectors[:, -SPELLING:] += (RARE / (RARE + counts))[:, None] * first.vectors[:, -SPELLING:]
    return replace(words, vectors=vectors)


def untrained(encoder: Encoder, means: np.ndarray) -> Learned:
    """Where the training begins: MiniLM's mean vectors, spelling, and a unit for each pair of letters that may meet."""
    spelling, pairs = spelling_vectors(encoder.tokenizer, SPELLING)
    units = Config.intermediate_size
    left, right, out = np.zeros((units, EDGE)), np.zeros((units, EDGE)), np.zeros((WIDTH, units))
    for unit, (last, first) in enumerate(np.ndindex(EDGE, EDGE)):
        left[unit, last], right[unit, first] = PAIR_SEEN
        out[-SPELLING:, unit] = pairs[last, first]
    meaning = reduce_vectors(means, WIDTH - SPELLING)
    parts = (np.concatenate([meaning, spelling], axis=1), edge_letters(encoder.tokenizer), left, right, out)
    return Learned(*(part.astype(np.float32) for part in parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=SHARE, default=list(SHARE), help="learn from these sources alone")
    options = parser.parse_args()
    begun = time.time()
    tested = {"hpo": load_hpo(), "icd": load_icd()}
    learned = {n: concepts for n, concepts in learning_sources(tested).items() if n in options.only}
    encoder, words = train(learned, options.steps, options.seed)
    print(f"trained after {time.time() - begun:.0f} s; now the calibration", flush=True)
    config = Config(encoder.tokenizer.get_vocab_size())
    weights = wired_weights(config, words, encoder.tokenizer)
    calibrated_on = [n for n in tested if n in learned] or ["hpo"]
    asked = [question for name in calibrated_on for question in dev_questions(tested[name], 400)]
    weights = calibrate(weights, config, encoder, asked)
    save_checkpoint(weights, config, encoder.tokenizer, options.out)
    print(f"made in {time.time() - begun:.0f} s: {options.out}")


if __name__ == "__main__":
    main()
