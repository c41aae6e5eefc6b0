"""The first, cheap stage: token vectors alone, trained so that mean vectors of synonyms come together.

The score is the one that `start.py` wires into the network, close to q.d / (|q|^2 + |d|^2), so that the network begins
where this stage ends. It costs no matrix product at all, only look-ups.
"""

import random

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from recipe.rows import Terminology, disturb
from recipe.start import CONSTANT_SIZE, DOCUMENT_BLANKS, QUERY_BLANKS

SCALE = 16.0


def bags(vectors: torch.Tensor, lists: list[list[int]], blank: int) -> torch.Tensor:
    """Mean of each list's token vectors as the network's norm shows them, `blank` zero vectors counted in."""
    vectors = vectors * (vectors.square().sum(-1, keepdim=True) + CONSTANT_SIZE**2).rsqrt() * 16
    sizes = torch.tensor([len(x) for x in lists])
    flat = torch.tensor([i for x in lists for i in x])
    return F.embedding_bag(flat, vectors, sizes.cumsum(0) - sizes, mode="sum") / (sizes + blank).unsqueeze(-1)


def likeness(query: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
    """The network's score up to a factor for (B, width) and (B, K, width), shape (B, K): both norms divide it."""
    size = query.square().sum(-1, keepdim=True) + document.square().sum(-1) + 12
    return 16 * (query.unsqueeze(1) * document).sum(-1) / size**1.5


def train_static(
    start: np.ndarray, sources: list[Terminology], tokenizer: Tokenizer, steps: int, size: int = 256, seed: int = 0
) -> np.ndarray:
    """Fit the vectors, shape (vocabulary, width): right name against 24 of the pool and against the whole batch's."""
    draw = random.Random(seed)
    vectors = torch.nn.Parameter(torch.from_numpy(start.copy()))
    scale = torch.nn.Parameter(torch.tensor(SCALE))
    optimizer = torch.optim.Adam(
        [{"params": [vectors], "lr": 0.01}, {"params": [scale], "lr": 0.05}], betas=(0.9, 0.99)
    )
    names = [[e.ids for e in tokenizer.encode_batch([f" {c.name}" for c in s.concepts])] for s in sources]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] *= 1 if step < steps // 2 else 0.02 ** (2 / steps)
        queries, documents, labels = [], [], []
        for _ in range(size):
            which = int(len(sources) > 1 and draw.random() < 0.35)
            source = sources[which]
            row = draw.randrange(len(source.queries))
            right, query = int(source.right[row]), source.queries[row]
            if query == source.concepts[right].name or draw.random() < 0.15:
                query = disturb(query, draw)
            queries.append(query)
            documents.append(
                [names[which][right], *(names[which][j] for j in draw.sample(source.pools[row].tolist(), 24))]
            )
            labels.append((which, right))
        q = bags(vectors, [e.ids or [0] for e in tokenizer.encode_batch([f" {t}" for t in queries])], QUERY_BLANKS)
        d = bags(vectors, [ids for row in documents for ids in row], DOCUMENT_BLANKS).view(size, 25, -1)
        number = {label: i for i, label in enumerate(dict.fromkeys(labels))}
        ids = torch.tensor([number[label] for label in labels])
        same = (ids[:, None] == ids) & ~torch.eye(size, dtype=torch.bool)
        others = likeness(q, d[:, 0].unsqueeze(0).expand(size, -1, -1)).masked_fill(same | torch.eye(size).bool(), -1e4)
        logits = torch.cat([likeness(q, d), others], 1) * scale
        loss = F.cross_entropy(logits, torch.zeros(size, dtype=torch.long))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"static {step}/{steps} loss {loss.item():.3f} scale {scale.item():.1f}", flush=True)
    return vectors.detach().numpy()
