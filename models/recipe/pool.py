"""The first stage and the marks: character n-gram pools, BM25, rank metrics, calibration."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from rank_bm25 import BM25Okapi

from recipe.asked import asked_synonyms
from recipe.sources import Concept, fold

POOL_SIZE = 50
AT_ONCE = 256  # queries
BINS = 10


@dataclass
class Question:
    """A query, the names offered for it in the retriever's order, and the right one's place (None: not offered)."""

    query: str
    candidates: list[str]
    gold: int | None


class NgramIndex:
    """Cosine over TF-IDF of the character 3- and 4-grams of lower-cased names, each padded with one space."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        counts = [Counter(ngrams(name)) for name in names]
        frequency = Counter(gram for count in counts for gram in count)
        self.column = {gram: i for i, gram in enumerate(frequency)}
        self.idf = np.array([np.log((1 + len(names)) / (1 + frequency[g])) + 1 for g in self.column], dtype=np.float32)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        size = (len(names), len(self.column))
        self.matrix = torch.sparse_csr_tensor(*self.sparse(counts), size=size).to(self.device)

    def sparse(self, counts: list[Counter]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Unit rows in CSR form."""
        starts, columns, values = [0], [], []
        for count in counts:
            known = sorted((self.column[g], n) for g, n in count.items() if g in self.column)
            row = np.array([n for _, n in known], dtype=np.float32) * self.idf[[c for c, _ in known]]
            values.append(row / max(float(np.linalg.norm(row)), 1e-9))
            columns.extend(c for c, _ in known)
            starts.append(len(columns))
        return torch.tensor(starts), torch.tensor(columns), torch.from_numpy(np.concatenate(values))

    def nearest(self, queries: list[str], k: int = POOL_SIZE) -> np.ndarray:
        """Indices of the k nearest names, best first. Shape (queries, k)."""
        found = []
        for start in range(0, len(queries), AT_ONCE):
            part = queries[start : start + AT_ONCE]
            dense = torch.zeros(len(self.column), len(part))
            starts, columns, values = self.sparse([Counter(ngrams(q)) for q in part])
            dense[columns, torch.repeat_interleave(torch.arange(len(part)), starts.diff())] = values
            found.append((self.matrix @ dense.to(self.device)).t().topk(k, dim=1).indices.cpu().numpy())
        return np.concatenate(found)


def ngrams(text: str) -> list[str]:
    """Character 3- and 4-grams."""
    padded = f" {fold(text)} "
    return [padded[i : i + n] for n in (3, 4) for i in range(len(padded) - n + 1)]


def questions(concepts: list[Concept], index: NgramIndex, splits: Collection[str], count: int) -> list[Question]:
    """Up to `count` exact synonyms of the concepts of some splits with their pools out of all names."""
    asked = asked_synonyms(concepts, splits, count)
    pools = index.nearest([text for text, _ in asked])
    return [
        Question(
            text, [index.names[i] for i in pool], hits[0] if (hits := np.flatnonzero(pool == gold).tolist()) else None
        )
        for (text, gold), pool in zip(asked, pools, strict=True)
    ]


def gold_ranks(items: list[Question], scores: list[list[float]]) -> list[int | None]:
    """Rank (from 1) of the right candidate under each list of scores; ties keep the pool's order."""
    ranks = []
    for item, row in zip(items, scores, strict=True):
        order = sorted(range(len(row)), key=lambda i: -row[i])
        ranks.append(None if item.gold is None else order.index(item.gold) + 1)
    return ranks


def hit_and_mrr(ranks: list[int | None]) -> tuple[float, float]:
    """Hit@1 and mean reciprocal rank; a query whose answer is not offered counts as a miss."""
    return sum(r == 1 for r in ranks) / len(ranks), sum(1 / r for r in ranks if r) / len(ranks)


def bm25_scores(items: list[Question]) -> list[list[float]]:
    """BM25Okapi over each pool, lower-cased, words split at single spaces."""
    return [
        BM25Okapi([c.lower().split(" ") for c in item.candidates]).get_scores(item.query.lower().split(" ")).tolist()
        for item in items
    ]


def pool_scores(items: list[Question]) -> list[list[float]]:
    """The retriever's own order as scores."""
    return [[-float(i) for i in range(len(item.candidates))] for item in items]


def calibration(probabilities: np.ndarray, right: np.ndarray) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error, and per bin (mean score, share that is right, pairs)."""
    which = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    rows = [
        (float(probabilities[which == b].mean()), float(right[which == b].mean()), int((which == b).sum()))
        for b in range(BINS)
        if (which == b).any()
    ]
    return sum(abs(p - r) * n for p, r, n in rows) / len(right), rows
