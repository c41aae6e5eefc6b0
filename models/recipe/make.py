"""The default model's checkpoint from nothing: `python -m recipe.make OUT` in the folder `models`.

With `--only` it learns from some of the sources, so that another can be its test.
"""

import argparse
import random
import sys
import time
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipe.batches import Encoder
from recipe.calibrate import calibrate
from recipe.network import Config
from recipe.ontologies import apart_from, load_go, load_mesh, load_mondo
from recipe.pool import NgramIndex, Question, questions
from recipe.rows import Draw, make_terminology
from recipe.sources import Concept, held_out_strings, load_hpo, load_icd, training_concepts
from recipe.start import WIDTH, start_weights
from recipe.static import static_closeness, train_static
from recipe.teacher import open_teacher
from recipe.tokenizer import train_tokenizer
from recipe.train import Plan, save_checkpoint, train
from recipe.unseen import UNSEEN, unseen_strings
from recipe.vectors import occurrence_means, reduce_vectors, spelling_vectors

VOCABULARY = 6144
STATIC_STEPS = 1100
SPELLING = 48  # entries of a token vector that tell its letters; the others tell its meaning
VOTING = 12_000  # strings of a source, at most, that have a say in tokenizer and vectors
SHARE = {"hpo": 0.35, "icd": 0.25, "mondo": 0.2, "mesh": 0.12, "go": 0.08}  # of the training rows


def learning_sources() -> dict[str, list[Concept]]:
    """What there is to learn from: nothing that is held out or stands in a terminology that is to stay unseen."""
    tested = {"hpo": load_hpo(), "icd": load_icd()}
    forbidden = set.union(*(held_out_strings(concepts) for concepts in tested.values())) | unseen_strings()
    more = {"mondo": load_mondo(), "mesh": load_mesh(), "go": load_go()}
    return {n: training_concepts(c, forbidden) for n, c in tested.items()} | {
        n: apart_from(c, forbidden) for n, c in more.items()
    }


def dev_questions(concepts: list[Concept], count: int) -> list[Question]:
    """Questions on concepts that are neither in training nor in the test."""
    return questions(concepts, NgramIndex([c.name for c in concepts]), ("dev",), count)


def strings(concepts: list[Concept], count: int) -> list[str]:
    """Names and synonyms, `count` of them at most."""
    found = [t for c in concepts for t in (c.name, *(s for s, _ in c.synonyms))]
    return random.Random(0).sample(found, min(count, len(found)))


@dataclass
class Prepared:
    """Everything that the network's own training starts from."""

    encoder: Encoder
    draw: Draw
    vectors: np.ndarray  # (vocabulary, WIDTH)


def prepare(names: Collection[str], device: str) -> Prepared:
    """Tokenizer, pools and token vectors out of the sources of these names."""
    learned = {n: c for n, c in learning_sources().items() if n in names}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        pools = processes.map(make_terminology, learned.values())
        voting = [t for n, c in learned.items() for t in strings(c, VOTING) * (2 if n == "hpo" else 1)]
        encoder = Encoder(train_tokenizer(voting, VOCABULARY))
        means = occurrence_means(open_teacher(device), encoder.plain, sorted(set(voting)))
        draw = Draw(list(pools), [SHARE[n] for n in learned], Plan.candidates)
    meaning, spelling = reduce_vectors(means, WIDTH - SPELLING), spelling_vectors(encoder.plain, SPELLING)
    first = np.concatenate([meaning, spelling], axis=1, dtype=np.float32)
    vectors = train_static(first, draw, encoder, STATIC_STEPS, device)
    for source in draw.sources:
        source.tempting = static_closeness(source, encoder, vectors)
    return Prepared(encoder, draw, vectors)


def fit(prepared: Prepared, plan: Plan, device: str, calibrated_on: Collection[str], out: Path) -> None:
    """Train the network, calibrate it on dev questions of these terminologies, and write its checkpoint."""
    encoder = prepared.encoder
    config = Config(encoder.plain.get_vocab_size())
    start = {n: t.to(device) for n, t in start_weights(config, prepared.vectors, encoder.plain).items()}
    tested = {"hpo": load_hpo(), "icd": load_icd()} | {name: load() for name, load in UNSEEN.items()}
    dev = {name: dev_questions(concepts, 400) for name, concepts in tested.items()}
    weights = train(start, config, encoder, prepared.draw, plan, dev)
    weights = calibrate(weights, config, encoder, [q for name in calibrated_on for q in dev[name]])
    save_checkpoint(weights, config, encoder.plain, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="of the network's own training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=SHARE, default=list(SHARE), help="learn from these sources alone")
    options = parser.parse_args()
    begun = time.time()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    prepared = prepare(options.only, device)
    print(f"prepared in {time.time() - begun:.0f} s", flush=True)
    calibrated_on = [name for name in ("hpo", "icd") if name in options.only] or ["hpo", "icd"]
    fit(prepared, Plan(steps=options.steps, seed=options.seed), device, calibrated_on, options.out)
    where = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    print(f"made in {time.time() - begun:.0f} s on {where}: {options.out}")


if __name__ == "__main__":
    main()
