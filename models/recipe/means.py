"""The training: token vectors, so that the mean vectors of synonyms come together.

The score is the one that `wired.py` builds into the network: how alike two means are, 2 q.d / (|q|^2 + |d|^2). In a
mean a token counts as much as its emphasis says: "of" hardly changes a text. Its vector has two parts: what it means is
free; how it is spelt hardly turns, and how much that counts is fitted. So words that training never saw are still told
apart by their letters. Three things are asked of the tokens at once: the right name first among others, a likeness that
tells right from wrong on one scale for all, and meanings that still say of any text what MiniLM says, so that words no
synonym speaks of keep their place.
"""

import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from recipe.batches import Bags, Encoder, make_bags, stream
from recipe.rows import Draw, Row

SCALE, EDGE = 12.0, 0.6  # how steeply likeness counts, and the likeness of which nobody knows
ROWS, TOLD = 256, 512  # a step
DIRECTING = 20_000  # texts by which the teacher's vectors are turned to ours
RATE, SLOW = 0.01, 0.05  # of the meanings and lengths; the spelling's share of it
SLOWED = 0.02  # the rates' share that is left after the second half of the steps
SCALE_WEIGHT, TOLD_WEIGHT = 0.2, 3.0  # of one scale for all, and of what MiniLM says, beside the right order


@dataclass
class Start:
    """Where the training begins; lengths of the parts are set apart from their directions."""

    meaning: np.ndarray  # (vocabulary, width)
    spelling: np.ndarray  # (vocabulary, width) unit vectors
    weight: np.ndarray  # (vocabulary,) how much the spelling counts


@dataclass
class Tokens:
    """What the means of texts are made of."""

    vectors: torch.Tensor  # (vocabulary, width)
    emphasis: torch.Tensor  # (vocabulary,) the logarithm of how much a token counts in a mean


def without_emphasis(vectors: torch.Tensor) -> Tokens:
    """Tokens that count alike, with vectors (vocabulary, width)."""
    return Tokens(vectors, torch.zeros(len(vectors)))


@dataclass
class Taught:
    """Texts with the teacher's vectors."""

    ids: list[list[int]]
    vectors: torch.Tensor  # (texts, teacher's width)


@dataclass
class Batch:
    """What one step learns from."""

    queries: Bags
    names: Bags
    labels: torch.Tensor
    broader: torch.Tensor  # (queries,) whether a row's answer says less than its query
    told: Bags
    told_vectors: torch.Tensor


class Words(torch.nn.Module):
    """What is trained."""

    def __init__(self, start: Start, taught: Taught) -> None:
        super().__init__()
        self.meaning = torch.nn.Parameter(torch.from_numpy(start.meaning).float().clone())
        self.weight = torch.nn.Parameter(torch.from_numpy(start.weight).float().clone())
        self.spelling = torch.nn.Parameter(torch.from_numpy(start.spelling).float().clone())
        self.scale = torch.nn.Parameter(torch.tensor(SCALE))
        self.edge = torch.nn.Parameter(torch.tensor(EDGE))
        self.emphasis = torch.nn.Parameter(torch.zeros(len(start.weight)))
        self.told = torch.nn.Parameter(told_directions(self.meaning.detach(), taught))

    def tokens(self) -> Tokens:
        """With vectors of both widths."""
        vectors = torch.cat([self.meaning, self.weight.unsqueeze(1) * self.spelling], 1)
        return Tokens(vectors, self.emphasis)


@dataclass
class Joints:
    """What the end of a token and the beginning of the next add where a word was cut; added after the training."""

    pairs: np.ndarray  # (26, 26, width)
    first: np.ndarray  # (vocabulary,) number of a token's first letter if it goes on with a word, otherwise -1
    last: np.ndarray  # (vocabulary,) number of its last letter, otherwise -1


def means(tokens: Tokens, bags: Bags, joints: Joints | None = None) -> torch.Tensor:
    """Mean of each list's vectors, shape (lists, width)."""
    counts, starts = tokens.emphasis.exp(), bags.sizes.cumsum(0) - bags.sizes
    weights = counts[bags.ids]
    sums = F.embedding_bag(bags.ids, tokens.vectors, starts, mode="sum", per_sample_weights=weights)
    all_counts = F.embedding_bag(bags.ids, counts.unsqueeze(1), starts, mode="sum")  # (lists, 1)
    if joints is not None:
        of = torch.arange(len(bags.sizes)).repeat_interleave(bags.sizes)
        last, first = (torch.from_numpy(letters)[bags.ids] for letters in (joints.last, joints.first))
        meet = (of[1:] == of[:-1]) & (last[:-1] >= 0) & (first[1:] >= 0)
        added = torch.from_numpy(joints.pairs)[last[:-1][meet], first[1:][meet]]
        sums = sums.index_add(0, of[1:][meet], added * weights[1:][meet].unsqueeze(1))
    return sums / all_counts


def likeness(query: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
    """For (B, width) and (B, K, width), shape (B, K): 1 if they are equal."""
    size = query.square().sum(-1, keepdim=True) + document.square().sum(-1) + 1e-6
    return 2 * (query.unsqueeze(1) * document).sum(-1) / size


def told_directions(meaning: torch.Tensor, taught: Taught) -> torch.Tensor:
    """The map (teacher's width, width) under which the teacher's vectors come nearest to the texts' own."""
    found = F.normalize(means(without_emphasis(meaning), make_bags(taught.ids[:DIRECTING])), dim=1)
    # The other drivers want full rank.
    return torch.linalg.lstsq(taught.vectors[:DIRECTING].float(), found, driver="gelsd").solution


def train_words(
    start: Start, draw: Draw, encoder: Encoder, taught: Taught, steps: int, rate: float = RATE, seed: int = 0
) -> Tokens:
    """Fit the tokens: right name against some of the pool and against the whole batch's."""

    def build(rows: list[Row]) -> Batch:
        number = {label: i for i, label in enumerate(dict.fromkeys(row.label for row in rows))}
        pick = random.Random(rows[0].seed)
        told = [pick.randrange(len(taught.ids)) for _ in range(TOLD)]
        return Batch(
            make_bags([ids for row in rows for ids in encoder.cut_ids([row.query], row.query_cut, row.seed)]),
            make_bags([ids for row in rows for ids in encoder.cut_ids(row.candidates, row.names_cut, row.seed)]),
            torch.tensor([number[row.label] for row in rows]),
            torch.tensor([row.broader for row in rows]),
            make_bags([taught.ids[i] for i in told]),
            taught.vectors[told].float(),
        )

    words = Words(start, taught)
    slow = [words.spelling, words.told]
    fast = [words.meaning, words.weight, words.emphasis]
    groups = [
        {"params": fast, "lr": rate},
        {"params": slow, "lr": rate * SLOW},
        {"params": [words.scale, words.edge], "lr": rate},
    ]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    for step, batch in enumerate(stream(draw, build, ROWS, steps, seed)):
        for group in optimizer.param_groups:
            group["lr"] *= 1 if step < steps // 2 else SLOWED ** (2 / steps)
        order, sure, told = losses(words, batch)
        loss = order + SCALE_WEIGHT * sure + TOLD_WEIGHT * told
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}/{steps}: {order.item():.3f} {sure.item():.3f} {told.item():.3f}", flush=True)
    tokens = words.tokens()
    return Tokens(tokens.vectors.detach(), tokens.emphasis.detach())


def losses(words: Words, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of the order; of the scale; of what the teacher says."""
    tokens = words.tokens()
    q, d = means(tokens, batch.queries), means(tokens, batch.names)
    d = d.view(len(q), -1, d.shape[-1])
    found = likeness(q, d)
    right = torch.zeros_like(found)
    right[:, 0] = 1
    logits, same = (found - words.edge) * words.scale, ~batch.broader
    sure = F.binary_cross_entropy_with_logits(logits[same], right[same], reduction="sum") / len(q)
    said = means(Tokens(words.meaning, words.emphasis), batch.told)
    told = 1 - F.cosine_similarity(said, batch.told_vectors @ words.told).mean()
    return order_loss(q, d, found, batch.labels, words.scale), sure, told


def order_loss(
    q: torch.Tensor, d: torch.Tensor, found: torch.Tensor, labels: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of each query's answer, the first of its names, among them and the other queries' answers."""
    answers = d[:, 0]
    size = q.square().sum(-1, keepdim=True) + answers.square().sum(-1) + 1e-6
    others = (2 * q @ answers.T / size).masked_fill(labels[:, None] == labels, -1e4)
    logits = torch.cat([found, others], 1) * scale
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))
