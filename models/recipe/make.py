"""The default model's checkpoint from nothing: `python -m recipe.make OUT` in the folder `models`.

With `--only hpo` or `--only icd` it learns from one source alone, so that the other can be its test.
"""

import argparse
import random
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from recipe.calibrate import calibrate
from recipe.pool import NgramIndex, Question, questions
from recipe.rows import make_terminology
from recipe.sources import Concept, held_out_strings, load_hpo, load_icd, training_concepts
from recipe.start import WIDTH, make_config, start_weights
from recipe.static import train_static
from recipe.teacher import open_teacher
from recipe.tokenizer import train_tokenizer
from recipe.train import Plan, Rows, save_checkpoint, train
from recipe.vectors import occurrence_means, reduce_vectors

VOCABULARY = 6144
STATIC_STEPS = 800
LONG_NAMES = 12_000  # ICD-10-CM names, much alike, that vote on the token vectors


def dev_questions(concepts: list[Concept], count: int) -> list[Question]:
    """Questions on concepts that are neither in training nor in the test."""
    return questions(concepts, NgramIndex([c.name for c in concepts]), "dev", count)


def strings(concepts: list[Concept], names: int | None = None) -> list[str]:
    """All synonyms, and all names or as many as `names` says."""
    kept = [c.name for c in concepts]
    if names is not None:
        kept = random.Random(0).sample(kept, min(names, len(kept)))
    return kept + [text for c in concepts for text, _ in c.synonyms]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=600, help="of each process in the network's own training")
    parser.add_argument("--processes", type=int, default=2, help="one a core")
    parser.add_argument("--only", choices=["hpo", "icd"], help="learn from one source alone")
    options = parser.parse_args()
    begun = time.time()
    everything = {"hpo": load_hpo(), "icd": load_icd()}
    forbidden = set.union(*(held_out_strings(concepts) for concepts in everything.values()))
    learned = {n: training_concepts(c, forbidden) for n, c in everything.items() if options.only in (None, n)}
    often = [t for n, c in learned.items() for t in strings(c) * (2 if n == "hpo" else 1)]
    tokenizer = train_tokenizer(often, VOCABULARY)
    voting = {t for n, c in learned.items() for t in strings(c, LONG_NAMES if n == "icd" else None)}
    vectors = reduce_vectors(occurrence_means(open_teacher(), tokenizer, sorted(voting)), WIDTH)
    sources = [make_terminology(concepts) for concepts in learned.values()]
    vectors = train_static(vectors, sources, tokenizer, STATIC_STEPS)
    print(f"static stage done after {time.time() - begun:.0f} s", flush=True)
    config = make_config(tokenizer.get_vocab_size())
    plan = Plan(steps=options.steps, processes=options.processes, share=(0.65, 0.35)[: len(sources)])
    dev = {name: dev_questions(everything[name], 250) for name in learned}
    rows = Rows(sources, tokenizer, vectors, plan)
    weights = train(start_weights(config, vectors, tokenizer), config, tokenizer, rows, plan, dev)
    torch.set_num_threads(options.processes)
    asked = [q for name in learned for q in dev_questions(everything[name], 400)]
    save_checkpoint(calibrate(weights, config, tokenizer, asked), config, tokenizer, options.out)
    print(f"made in {time.time() - begun:.0f} s: {options.out}")


if __name__ == "__main__":
    main()
