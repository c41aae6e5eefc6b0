"""The default model's checkpoint from nothing: `python -m recipe.make OUT` in the folder `models`.

What takes long is kept in OUT/work and found there again. With `--only` it learns from some of the sources, so that
another can be its test.
"""

import argparse
import pickle
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipe.batches import Encoder, make_bags
from recipe.calibrate import Scale, fit_scale, with_scale
from recipe.checkpoint import Config, save_checkpoint
from recipe.coding import load_operations, short_titles
from recipe.generated import load_laboratory, load_medicines
from recipe.means import Joints, Start, likeness, means, train_words
from recipe.ontologies import apart_from, load_go, load_mesh, load_mondo, load_substances, without_words
from recipe.pool import NgramIndex, Question, questions
from recipe.rows import Draw, Terminology, make_terminology
from recipe.sources import Concept, fold, held_out_strings, load_hpo, load_icd, training_concepts
from recipe.teacher import open_teacher
from recipe.tokenizer import train_tokenizer
from recipe.unseen import unseen_strings
from recipe.vectors import joints, meaning_vectors, rarity, spelling_vectors
from recipe.wired import WIDTH, wired_weights
from recipe.wording import telegram

T = TypeVar("T")
VOCABULARY = 12_288
STEPS = 2000
CANDIDATES = 25  # of a row
MEANING = 128  # entries of a token vector that tell what it means; the others tell its letters
LONG_WORD = re.compile(r"\w{5,}")
VOTING, VOTING_PATTERNS, TYPED = 20_000, 4_000, 20_000  # strings of a source that have a say in tokenizer and rarity
TAUGHT, TAUGHT_WORDS = 17_000, 20_000  # strings, and words in them, whose meaning MiniLM tells
SHARE = {  # of the rows, relative
    "hpo": 0.3,
    "icd": 0.22,
    "mondo": 0.2,
    "mesh": 0.15,
    "go": 0.06,
    "substances": 0.2,
    "operations": 0.06,
    "laboratory": 0.1,
    "medicines": 0.1,
}
PATTERNS = ("operations", "laboratory", "medicines")


def learning_sources(tested: dict[str, list[Concept]]) -> dict[str, list[Concept]]:
    """What there is to learn from: nothing that is held out or stands in a terminology that is to stay unseen."""
    unseen = unseen_strings()
    forbidden = set.union(*(held_out_strings(concepts) for concepts in tested.values())) | unseen
    drugs = {fold(text) for text in unseen if LONG_WORD.fullmatch(text)}
    learned = {n: training_concepts(c, forbidden) for n, c in tested.items()}
    short = short_titles()
    for concept in learned["icd"]:
        if title := short.get(concept.id):
            concept.synonyms.append((title, "EXACT"))
    more = {"mondo": load_mondo(), "mesh": load_mesh(), "go": load_go()}
    more["substances"] = without_words(load_substances(), drugs)[::3]
    learned |= {n: apart_from(c, forbidden) for n, c in more.items()}
    return learned | {
        "operations": load_operations(),
        "laboratory": load_laboratory(),
        "medicines": load_medicines(drugs),
    }


def dev_questions(concepts: list[Concept], count: int) -> list[Question]:
    """Questions on concepts that are neither in training nor in the test."""
    return questions(concepts, NgramIndex([c.name for c in concepts]), ("dev",), count)


def strings(concepts: list[Concept], count: int) -> list[str]:
    """Names and synonyms, `count` of them at most."""
    found = [t for c in concepts for t in c.strings]
    return random.Random(0).sample(found, min(count, len(found)))


def voting_strings(learned: dict[str, list[Concept]]) -> list[str]:
    """Strings of all sources, some of them also as clinics type them."""
    found = [t for n, c in learned.items() for t in strings(c, VOTING_PATTERNS if n in PATTERNS else VOTING)]
    draw = random.Random(0)
    return found + [telegram(t, draw) for t in draw.sample(found, min(TYPED, len(found)))]


def taught_meanings(voting: list[str], device: str) -> tuple[list[str], np.ndarray]:
    """Some strings and the words that they are made of, with MiniLM's vectors (texts, 384)."""
    words = Counter(word for text in voting for word in re.findall(r"[a-z]{3,}", text.lower()))
    texts = {word for word, _ in words.most_common(TAUGHT_WORDS)}
    texts |= set(random.Random(1).sample(voting, min(TAUGHT, len(voting))))
    return sorted(texts), open_teacher(device).embed(sorted(texts))


def start(encoder: Encoder, voting: list[str], taught: tuple[list[str], np.ndarray]) -> Start:
    """Both parts of a token's vector; their lengths are of the size of its rarity."""
    rare = rarity(encoder, voting)
    meaning = meaning_vectors(encoder, *taught, MEANING)
    lengths = np.linalg.norm(meaning, axis=1)
    meaning *= np.median(rare) / np.median(lengths[lengths > 0.2])
    return Start(meaning, spelling_vectors(encoder.tokenizer, WIDTH - MEANING), rare)


def calibration(vectors: np.ndarray, joints: Joints, encoder: Encoder, items: list[Question]) -> Scale:
    """Fitted on questions, and on every one's name, which is as sure as anything is."""
    table = torch.from_numpy(vectors)
    asked = means(table, make_bags(encoder.ids([item.query for item in items])), joints)
    named = means(table, make_bags(encoder.ids([text for item in items for text in item.candidates])), joints)
    found = likeness(asked, named.view(len(items), -1, named.shape[-1])).flatten()
    right = torch.tensor([float(i == item.gold) for item in items for i in range(len(item.candidates))])
    same = torch.ones(len(items))
    return fit_scale(torch.cat([found, same]), torch.cat([right, same]))


def kept(file: Path, make: Callable[[], T]) -> T:
    """What `make` gives, or gave in a run before this one."""
    if not file.exists():
        made = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_bytes(pickle.dumps(made))
        part.rename(file)
        print(f"{time.strftime('%H:%M:%S')} {file.name} is there", flush=True)
    return pickle.loads(file.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=SHARE, default=list(SHARE), help="learn from these sources alone")
    options = parser.parse_args()
    begun, work = time.time(), options.out / "work"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tested = {"hpo": load_hpo(), "icd": load_icd()}
    sources = kept(work / "sources.pkl", lambda: learning_sources(tested))
    learned = {n: sources[n] for n in options.only}
    voting = voting_strings(learned)
    encoder = Encoder(train_tokenizer(voting, VOCABULARY))
    taught = kept(work / "taught.pkl", lambda: taught_meanings(voting, device))

    def train() -> np.ndarray:
        terms: list[Terminology] = kept(work / "pools.pkl", lambda: [make_terminology(c) for c in learned.values()])
        encoder.learn(sorted({t for s in terms for t in [*s.queries, *(c.name for c in s.concepts)]}))
        begin = kept(work / "start.pkl", lambda: start(encoder, voting, taught))
        draw = Draw(terms, [SHARE[n] for n in learned], CANDIDATES)
        return train_words(begin, draw, encoder, options.steps, device, options.seed)

    vectors = kept(work / "vectors.pkl", train)
    calibrated_on = [n for n in tested if n in learned] or ["hpo"]
    asked = [question for name in calibrated_on for question in dev_questions(tested[name], 400)]
    meeting = joints(encoder.tokenizer, WIDTH, WIDTH - MEANING)
    scale = calibration(vectors, meeting, encoder, asked)
    print(scale, flush=True)
    config = Config(encoder.tokenizer.get_vocab_size())
    weights = wired_weights(config, vectors, meeting, encoder.tokenizer, scale.bend)
    yes, no = (encoder.tokenizer.token_to_id(word) for word in ("yes", "no"))
    save_checkpoint(with_scale(weights, config, yes, no, scale), config, encoder.tokenizer, options.out)
    print(f"made in {time.time() - begun:.0f} s: {options.out}")


if __name__ == "__main__":
    main()
