"""The training: token vectors, so that mean vectors of synonyms come together.

The score is the one that `wired.py` builds into the network, close to q.d / (|q|^2 + |d|^2). It costs no matrix product
at all, only look-ups.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from recipe.batches import Encoder, stream
from recipe.checkpoint import Config
from recipe.rows import Draw, Row
from recipe.wired import CLOSING_SIZE, CONSTANT_SIZE, DOCUMENT_BLANKS, MEANS_GAIN, QUERY_BLANKS

SCALE = 16.0
ROWS = 256
GAIN = Config.hidden_size**0.5  # of an RMS norm on a vector of length 1


@dataclass
class Bags:
    """Lists of token ids, laid end to end."""

    ids: torch.Tensor  # (tokens,)
    sizes: torch.Tensor  # (lists,)

    def mean(self, vectors: torch.Tensor, blank: int) -> torch.Tensor:
        """Mean of each list's token vectors as the network's norm shows them, `blank` zero vectors counted in."""
        vectors = vectors * (vectors.square().sum(-1, keepdim=True) + CONSTANT_SIZE**2).rsqrt() * GAIN
        ids, sizes = self.ids.to(vectors.device), self.sizes.to(vectors.device)
        return F.embedding_bag(ids, vectors, sizes.cumsum(0) - sizes, mode="sum") / (sizes + blank).unsqueeze(-1)


def make_bags(lists: list[list[int]]) -> Bags:
    """Token ids as bags; an empty list counts as token 0."""
    lists = [ids or [0] for ids in lists]
    return Bags(torch.tensor([i for ids in lists for i in ids]), torch.tensor([len(ids) for ids in lists]))


def likeness(query: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
    """The network's score up to a factor for (B, width) and (B, K, width), shape (B, K): both norms divide it."""
    size = query.square().sum(-1, keepdim=True) + document.square().sum(-1) + (CLOSING_SIZE / MEANS_GAIN) ** 2
    return GAIN * (query.unsqueeze(1) * document).sum(-1) / size**1.5


def train_static(
    start: np.ndarray, draw: Draw, encoder: Encoder, steps: int, device: str = "cpu", seed: int = 0
) -> np.ndarray:
    """Fit the vectors, shape (vocabulary, width): right name against some of the pool and against the whole batch's."""

    def build(rows: list[Row]) -> tuple[Bags, Bags, torch.Tensor]:
        number = {label: i for i, label in enumerate(dict.fromkeys(row.label for row in rows))}
        queries = make_bags(encoder.ids([row.query for row in rows]))
        names = make_bags(encoder.ids([text for row in rows for text in row.candidates]))
        return queries, names, torch.tensor([number[row.label] for row in rows])

    vectors = torch.nn.Parameter(torch.from_numpy(start.copy()).to(device))
    scale = torch.nn.Parameter(torch.tensor(SCALE, device=device))
    optimizer = torch.optim.Adam(
        [{"params": [vectors], "lr": 0.01}, {"params": [scale], "lr": 0.05}], betas=(0.9, 0.99)
    )
    for step, (asked, named, labels) in enumerate(stream(draw, build, ROWS, steps, seed)):
        for group in optimizer.param_groups:
            group["lr"] *= 1 if step < steps // 2 else 0.02 ** (2 / steps)
        q = asked.mean(vectors, QUERY_BLANKS)
        d = named.mean(vectors, DOCUMENT_BLANKS).view(ROWS, draw.candidates, -1)
        labels = labels.to(device)
        others = likeness(q, d[:, 0].unsqueeze(0).expand(ROWS, -1, -1)).masked_fill(labels[:, None] == labels, -1e4)
        logits = torch.cat([likeness(q, d), others], 1) * scale
        loss = F.cross_entropy(logits, torch.zeros(ROWS, dtype=torch.long, device=device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}/{steps} loss {loss.item():.3f} scale {scale.item():.1f}", flush=True)
    return vectors.detach().cpu().numpy()
