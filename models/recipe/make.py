"""The default model's checkpoint from nothing: `python -m recipe.make OUT` in the folder `models`.

What takes long is kept in OUT/work and found there again. With `--only` it learns from some of the sources, so that
another can be its test.
"""

import argparse
import pickle
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipe.batches import Encoder, make_bags
from recipe.broader import make_broader
from recipe.calibrate import Scale, fit_scale, found_by, with_scale
from recipe.checkpoint import Config, Weights, save_checkpoint
from recipe.drugs import load_drugs
from recipe.learning import BROADER, PATTERNS, SOURCES, learning_sources, strings, untold_strings, voting_strings
from recipe.means import Joints, Start, Taught, Tokens, likeness, means, train_words
from recipe.pool import NgramIndex, Question, questions
from recipe.prompts import prompt_ids
from recipe.rows import Draw, Terminology, make_terminology
from recipe.sources import Concept, load_hpo
from recipe.spelling import as_read
from recipe.state import WIDTH
from recipe.teaching import everyday_words, taught_texts, told
from recipe.tokenizer import train_tokenizer
from recipe.vectors import joints, meaning_vectors, rarity, spelling_vectors
from recipe.wired import wired_weights
from recipe.wording import something_else, telling_words

T = TypeVar("T")
Pair = tuple[str, str, bool]  # a query, a name, whether it is right
VOCABULARY = 22_528
STEPS, RUNS = 6000, 2
CANDIDATES = 25  # of a row
# Questions of HPO and of drugs. Of ICD-10-CM's, often another code is as right as the one that counts.
CALIBRATED_ON = 600
SURER = 3e-3  # of a loss of 0.17, for which equal texts are surer of each other, even where two tokens tie
LIKELY, MORE = 0.1, 0.1  # of their pairs; of their queries that are compared with themselves and a word more
# Codes of ICD-10-CM differ in these words. Elsewhere they say little, yet "unspecified" is learned to say as much as
# "chronic".
OF_CODES, LESS = ("unspecified", "other", "specified"), 0.5
CALM = 0.7  # of the emphasis that training gives: it makes too much of what its own sources differ in
MEANING = 128  # entries of a token vector that tell what it means; the others tell its letters


def dev_questions(concepts: list[Concept], count: int) -> list[Question]:
    """Questions on concepts that are neither in training nor in the test."""
    return questions(concepts, NgramIndex([c.name for c in concepts]), ("dev",), count)


def voting_words(learned: dict[str, list[Concept]]) -> list[str]:
    """What the tokenizer is made from: strings of all sources, and everyday words that no test asks for."""
    untold = untold_strings()
    return [*voting_strings(learned), *(w for w in everyday_words() if as_read(w) not in untold)]


def start(encoder: Encoder, voting: list[str], taught: Taught) -> Start:
    """Both parts of a token's vector; their lengths are of the size of its rarity."""
    rare = rarity(encoder, voting)
    meaning = meaning_vectors(encoder.tokenizer.get_vocab_size(), taught, MEANING)
    lengths = np.linalg.norm(meaning, axis=1)
    meaning *= np.median(rare) / np.median(lengths[lengths > 0.2])
    return Start(meaning, spelling_vectors(encoder.tokenizer, WIDTH - MEANING), rare)


def likeliest(tokens: Tokens, joints: Joints, encoder: Encoder, items: list[Question]) -> list[Pair]:
    """Of the questions' pairs, those whose means are most alike: nobody asks how unlikely the others are."""
    asked = means(tokens, make_bags(encoder.ids([item.query for item in items])), joints)
    named = means(tokens, make_bags(encoder.ids([text for item in items for text in item.candidates])), joints)
    found = likeness(asked, named.view(len(items), -1, named.shape[-1])).flatten()
    pairs = [(item.query, name, i == item.gold) for item in items for i, name in enumerate(item.candidates)]
    return [pairs[i] for i in torch.nonzero(found >= found.quantile(1 - LIKELY)).flatten().tolist()]


def calibration(weights: Weights, config: Config, tokenizer: Tokenizer, pairs: list[Pair], words: list[str]) -> Scale:
    """Fitted on pairs; on every query with itself, which is as sure as anything is; and on some with a word more."""
    queries, draw = sorted({query for query, _, _ in pairs}), random.Random(0)
    pairs = [*pairs, *((query, query, True) for query in queries)]
    more = draw.sample(queries, round(MORE * len(queries)))
    pairs += [(query, something_else(query, "", words, draw), False) for query in more]
    prompts = prompt_ids(tokenizer, [(query, name) for query, name, _ in pairs])
    right = torch.tensor([float(is_right) for _, _, is_right in pairs])
    return fit_scale(*found_by(weights, config, prompts), right, no_worse=SURER)


def telling(learned: dict[str, list[Concept]]) -> list[str]:
    """The words in which alone two names of a source differ."""
    return [w for n, c in learned.items() if n not in PATTERNS for w in telling_words([one.name for one in c])]


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


def learn(options: argparse.Namespace, learned: dict[str, list[Concept]], encoder: Encoder, words: list[str]) -> Tokens:
    """The mean of what some runs on other rows make of one start."""
    work = options.out / "work"
    terms: list[Terminology] = [
        kept(work / f"pool-{n}.pkl", partial(make_terminology, c, SOURCES[n].asked)) for n, c in learned.items()
    ]
    broader = {n: source for n, source in BROADER.items() if n in learned}
    terms += [kept(work / f"broader-{n}.pkl", partial(make_broader, learned[n], s.asked)) for n, s in broader.items()]
    shares = [SOURCES[n].share for n in learned] + [source.share for source in broader.values()]
    encoder.learn(sorted({t for s in terms for t in [*s.queries, *(c.name for c in s.concepts)]}))
    given = [text for n, c in learned.items() for text in strings(c, SOURCES[n].taught)]
    texts = kept(work / "texts.pkl", lambda: taught_texts(given, everyday_words(), untold_strings()))
    vectors = kept(work / "told.pkl", lambda: told(texts))
    taught = Taught(encoder.ids(texts), torch.from_numpy(vectors))
    begin = kept(work / "start.pkl", lambda: start(encoder, voting_strings(learned), taught))
    draw = Draw(terms, shares, CANDIDATES, words)
    runs = [
        kept(
            work / f"run-{seed}.pkl",
            lambda seed=seed: train_words(begin, draw, encoder, taught, options.steps, seed=seed),
        )
        for seed in range(options.runs)
    ]
    vectors, emphasis = ([getattr(run, part) for run in runs] for part in ("vectors", "emphasis"))
    return Tokens(torch.stack(vectors).mean(0), torch.stack(emphasis).mean(0))


def settled(tokens: Tokens, encoder: Encoder) -> Tokens:
    """Tokens in which words of codes are shorter, and emphasis is less; a usual token has none."""
    vectors = tokens.vectors.clone()
    vectors[sorted({i for ids in encoder.ids(list(OF_CODES)) for i in ids})] *= LESS
    return Tokens(vectors, CALM * (tokens.emphasis - tokens.emphasis.median()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", nargs="+", choices=SOURCES, default=list(SOURCES), help="learn from these alone")
    options = parser.parse_args()
    begun, work = time.time(), options.out / "work"
    sources = kept(work / "sources.pkl", learning_sources)
    learned = {n: sources[n] for n in options.only}
    saved = kept(work / "tokenizer.pkl", lambda: train_tokenizer(voting_words(learned), VOCABULARY).to_str())
    encoder = Encoder(Tokenizer.from_str(saved))
    words = telling(learned)
    tokens = settled(kept(work / "tokens.pkl", lambda: learn(options, learned, encoder, words)), encoder)
    meeting = joints(encoder.tokenizer, WIDTH, WIDTH - MEANING)
    config = Config(encoder.tokenizer.get_vocab_size())
    network = partial(wired_weights, config, tokens, meeting, encoder.tokenizer)
    asked = [dev_questions(load(), CALIBRATED_ON) for load in (load_hpo, load_drugs)]
    pairs = [pair for items in asked for pair in likeliest(tokens, meeting, encoder, items)]
    scale = calibration(network(bend=0.0), config, encoder.tokenizer, pairs, words)
    print(scale, flush=True)
    yes, no = (encoder.tokenizer.token_to_id(word) for word in ("yes", "no"))
    weights = with_scale(network(bend=scale.bend), config, yes, no, scale)
    save_checkpoint(weights, config, encoder.tokenizer, options.out)
    print(f"made in {time.time() - begun:.0f} s: {options.out}")


if __name__ == "__main__":
    main()
