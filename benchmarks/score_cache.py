"""What `cached_scores` saves: `python benchmarks/score_cache.py [--share 20]`, with the packages of `make eval`.

Terminologies are mapped onto HPO's names one after the other, 50 candidates a term, by one reranker that keeps scores
and by one that keeps none, in turns term by term. Of every terminology the same share of strings is taken, by a hash of
the string, so that what they have in common stays common. At last the first one is asked again.
"""

import argparse
import sys
import time
import zlib
from pathlib import Path

from aatm_onnx import Qwen3Reranker

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))

from recipe.ontologies import load_mesh, load_mondo
from recipe.pool import NgramIndex
from recipe.sources import Concept, fold, load_hpo, load_icd

LISTS = {
    "ICD-10-CM": load_icd,
    "Mondo": load_mondo,
    "MeSH without chemicals and procedures": load_mesh,
}


def strings(concepts: list[Concept], share: int) -> list[str]:
    """Every name and synonym whose hash says so, one in `share`; a list may say the same twice."""
    texts = (text for concept in concepts for text in concept.strings)
    return [text for text in texts if zlib.crc32(fold(text).encode()) % share == 0]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--share", type=int, default=20, help="one string in so many")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    index = NgramIndex([concept.name for concept in load_hpo()])
    lists = {title: strings(load(), options.share) for title, load in LISTS.items()}
    first = next(iter(lists))
    rerankers = [Qwen3Reranker(options.model, provider="cpu", cached_scores=most) for most in (0, 10_000_000)]
    keeping = rerankers[1]._scorer
    assert keeping is not None
    print("| list | pairs | known | ms a term, none kept | ms a term, kept |\n|---|---|---|---|---|")
    for title, texts in [*lists.items(), (f"{first} again", lists[first])]:
        before, pairs, spent = len(keeping._known), 0, [0.0, 0.0]
        for text, pool in zip(texts, index.nearest(texts), strict=True):
            names = [index.names[place] for place in pool]
            pairs += len(names)
            for number, reranker in enumerate(rerankers):
                begun = time.perf_counter()
                reranker.score(text, names)
                spent[number] += time.perf_counter() - begun
        known = 1 - (len(keeping._known) - before) / pairs
        cells = " | ".join(f"{1e3 * each / len(texts):.1f}" for each in spent)
        print(f"| {title} | {pairs:,} | {known:.0%} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
