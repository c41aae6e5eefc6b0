"""The training: token vectors, so that the mean vectors of synonyms come together.

The score is the one that `wired.py` builds into the network: how alike two means are, 2 q.d / (|q|^2 + |d|^2). A
token's vector has two parts: what it means is free; how it is spelt hardly turns, and how much that counts is fitted.
So words that training never saw are still told apart by their letters.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from recipe.batches import Bags, Encoder, make_bags, stream
from recipe.rows import Draw, Row

SCALE = 12.0
ROWS = 256
RATE, WEIGHT_RATE, SPELLING_RATE, SCALE_RATE = 0.01, 0.01, 0.0005, 0.05
SLOWED = 0.02  # the rates' share that is left after the second half of the steps


@dataclass
class Start:
    """Where the training begins; lengths of the parts are set apart from their directions."""

    meaning: np.ndarray  # (vocabulary, width)
    spelling: np.ndarray  # (vocabulary, width) unit vectors
    weight: np.ndarray  # (vocabulary,) how much the spelling counts


class Words(torch.nn.Module):
    """What is trained."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.meaning = torch.nn.Parameter(torch.from_numpy(start.meaning).float().clone())
        self.weight = torch.nn.Parameter(torch.from_numpy(start.weight).float().clone())
        self.spelling = torch.nn.Parameter(torch.from_numpy(start.spelling).float().clone())

    def vectors(self) -> torch.Tensor:
        """Token vectors (vocabulary, both widths)."""
        return torch.cat([self.meaning, self.weight.unsqueeze(1) * self.spelling], 1)


@dataclass
class Joints:
    """What the end of a token and the beginning of the next add where a word was cut; added after the training."""

    pairs: np.ndarray  # (26, 26, width)
    first: np.ndarray  # (vocabulary,) number of a token's first letter if it goes on with a word, otherwise -1
    last: np.ndarray  # (vocabulary,) number of its last letter, otherwise -1


def means(vectors: torch.Tensor, bags: Bags, joints: Joints | None = None) -> torch.Tensor:
    """Mean of each list's vectors, shape (lists, width)."""
    found = F.embedding_bag(bags.ids, vectors, bags.sizes.cumsum(0) - bags.sizes, mode="mean")
    if joints is not None:
        of = torch.arange(len(bags.sizes)).repeat_interleave(bags.sizes)
        last, first = (torch.from_numpy(letters)[bags.ids] for letters in (joints.last, joints.first))
        meet = (of[1:] == of[:-1]) & (last[:-1] >= 0) & (first[1:] >= 0)
        added = torch.from_numpy(joints.pairs)[last[:-1][meet], first[1:][meet]]
        found = found.index_add(0, of[1:][meet], added / bags.sizes[of[1:][meet], None])
    return found


def likeness(query: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
    """For (B, width) and (B, K, width), shape (B, K): 1 if they are equal."""
    size = query.square().sum(-1, keepdim=True) + document.square().sum(-1) + 1e-6
    return 2 * (query.unsqueeze(1) * document).sum(-1) / size


def train_words(
    start: Start, draw: Draw, encoder: Encoder, steps: int, device: str = "cpu", seed: int = 0
) -> np.ndarray:
    """Fit the vectors: right name against some of the pool and against the whole batch's."""

    def build(rows: list[Row]) -> tuple[Bags, Bags, torch.Tensor]:
        number = {label: i for i, label in enumerate(dict.fromkeys(row.label for row in rows))}
        queries = make_bags(encoder.ids([row.query for row in rows]))
        names = make_bags(encoder.ids([text for row in rows for text in row.candidates]))
        return queries, names, torch.tensor([number[row.label] for row in rows])

    words = Words(start).to(device)
    scale = torch.nn.Parameter(torch.tensor(SCALE, device=device))
    rated = [(words.meaning, RATE), (words.weight, WEIGHT_RATE), (words.spelling, SPELLING_RATE), (scale, SCALE_RATE)]
    optimizer = torch.optim.Adam([{"params": [p], "lr": rate} for p, rate in rated], betas=(0.9, 0.99))
    for step, (asked, named, labels) in enumerate(stream(draw, build, ROWS, steps, seed)):
        for group in optimizer.param_groups:
            group["lr"] *= 1 if step < steps // 2 else SLOWED ** (2 / steps)
        vectors = words.vectors()
        loss = batch_loss(means(vectors, asked), means(vectors, named), labels.to(device), scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}/{steps} loss {loss.item():.3f} scale {scale.item():.1f}", flush=True)
    return words.vectors().detach().cpu().numpy()


def batch_loss(q: torch.Tensor, d: torch.Tensor, labels: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each query's answer, the first of its names, among them and the other queries' answers."""
    d = d.view(len(q), -1, d.shape[-1])
    answers = d[:, 0]
    size = q.square().sum(-1, keepdim=True) + answers.square().sum(-1) + 1e-6
    others = (2 * q @ answers.T / size).masked_fill(labels[:, None] == labels, -1e4)
    logits = torch.cat([likeness(q, d), others], 1) * scale
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))
