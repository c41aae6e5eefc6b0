"""From source strings to concept ids, end to end: a vocabulary is indexed, terms are mapped, answers compared.

    python benchmarks/mapping.py                     the default model, BM25 and the retriever alone
    ... --model DIR                                  also another bundle
    ... --lists drugs HPO                            some of the lists

The terms are synonyms of the protocol of models/evaluate.py: of the held-out concepts of HPO, ICD-10-CM and drugs, and
of the lists that training never saw. "names": the vocabulary holds only the concepts' names, the
model card's protocol. "all": it also holds every synonym but the terms asked for, as a real vocabulary does. Groups of
codes have names alone: what else they have is codes next to the one asked for.
"found" is recall@50. "MB" is the most memory of the process until then, with the terminology's own data.
"at 95 %" is the largest share of terms that can be accepted by a threshold with 95 % of them right: chosen with the
answers known, so an upper bound.
Terms a second are of processor time, since other work may share the machine.
Needs what `make .venv/eval-ready` installs, for its data.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aatm_onnx  # noqa: F401  # before anything else can import ONNX Runtime: no telemetry

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from process_memory import kibibytes  # noqa: E402
from recipe.asked import asked_synonyms  # noqa: E402
from recipe.lists import LISTS, tested  # noqa: E402
from recipe.sources import fold  # noqa: E402
from recipe.unseen import GROUPS  # noqa: E402

from aatm_onnx import load_reranker  # noqa: E402
from aatm_onnx.mapping.evaluate import Outcome, Question  # noqa: E402
from aatm_onnx.mapping.propose import TEXTS_AT_ONCE, Proposer  # noqa: E402
from aatm_onnx.vocabulary import Concept, Synonym, Vocabulary, build_vocabulary  # noqa: E402


def drawn(concepts: list[Any], splits: tuple[str, ...], count: int) -> dict[str, str]:
    """The terms of the model card, each with its concept's id."""
    return {text: concepts[place].id for text, place in asked_synonyms(concepts, splits, count)}


def items(concepts: list[Any], terms: dict[str, str], synonyms: bool) -> Iterator[Concept | Synonym]:
    """The vocabulary; a term that is asked for is not in it as a synonym, whatever its concept or case."""
    hidden = {fold(text) for text in terms}
    for concept in concepts:
        yield Concept(concept.id, concept.name)
        if synonyms:
            yield from (Synonym(concept.id, text) for text, _ in concept.synonyms if fold(text) not in hidden)


def measured(proposer: Proposer, terms: dict[str, str]) -> tuple[Outcome, float]:
    """The outcome, and terms a second of processor time."""
    questions = [Question(text, frozenset([concept_id])) for text, concept_id in terms.items()]
    proposer.propose([question.text for question in questions[:TEXTS_AT_ONCE]])  # to warm up
    answers = []
    begun = time.process_time()
    for start in range(0, len(questions), TEXTS_AT_ONCE):
        answers += proposer.propose([question.text for question in questions[start : start + TEXTS_AT_ONCE]])
    return Outcome.of(questions, answers), len(questions) / (time.process_time() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--lists", nargs="+", choices=LISTS, default=list(LISTS))
    parser.add_argument("--terms", type=int, default=500, help="of each terminology")
    parser.add_argument("--vocabularies", nargs="+", choices=["names", "all"], default=["names", "all"])
    options = parser.parse_args()
    rerankers = {"the retriever alone": None, "BM25": load_reranker("bm25")}
    rerankers |= {name: load_reranker(name, provider="cpu") for name in ["default", *options.model]}
    heads = ("Hit@1", "Hit@5", "MRR", "found", "at 95 %", "above", "terms/s", "MB")
    for name in options.lists:
        concepts = LISTS[name]()
        terms = drawn(concepts, tested(name), options.terms)
        for kind in ["names"] if name in GROUPS else options.vocabularies:
            with tempfile.TemporaryDirectory() as folder:
                vocabulary: Vocabulary = build_vocabulary(items(concepts, terms, kind == "all"), Path(folder) / "v")
                print(f"\n{name}, {kind}: {len(terms)} terms, {len(vocabulary)} concepts, {vocabulary.names} names")
                print(f"{'':<22}" + "".join(f"{head:>9}" for head in heads))
                for label, reranker in rerankers.items():
                    outcome, rate = measured(Proposer(vocabulary, reranker, 50, 50), terms)
                    coverage, threshold = outcome.coverage_at(0.95)
                    shares = (outcome.hit(1), outcome.hit(5), outcome.mrr, outcome.hit(50), coverage)
                    above = "-" if threshold is None else f"{threshold:.3f}"
                    figures = "".join(f"{share:>9.3f}" for share in shares)
                    print(f"{label:<22}{figures}{above:>9}{rate:>9.1f}{kibibytes('VmHWM') / 1024:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
