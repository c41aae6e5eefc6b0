"""The training: token vectors, and what two neighbours add to them, so that mean vectors of synonyms come together.

The score is the one that `wired.py` builds into the network: how alike two means are, 2 q.d / (|q|^2 + |d|^2). A word
that nobody ever saw is cut into pieces, and a mean of pieces does not know which letters met: so each piece also gets
what the end of the piece before it and its own beginning make together.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from recipe.batches import Encoder, stream
from recipe.checkpoint import Config
from recipe.rows import Draw, Row
from recipe.wired import CONSTANT_SIZE, COPY_GAIN, DOCUMENT_BLANKS, EDGE, MEANS_GAIN, QUERY_BLANKS, Learned

SCALE = 12.0
ROWS = 256
GAIN = Config.hidden_size**0.5  # of an RMS norm on a vector of length 1
VECTOR_RATE, JOINT_RATE, SCALE_RATE = 0.01, 0.003, 0.05
SLOWED = 0.02  # the rates' share that is left after the second half of the steps


@dataclass
class Bags:
    """Lists of token ids, laid end to end."""

    ids: torch.Tensor  # (tokens,)
    before: torch.Tensor  # (tokens,) the id before it in its list, -1 for the first
    sizes: torch.Tensor  # (lists,)


def make_bags(lists: list[list[int]]) -> Bags:
    """Token ids as bags; an empty list counts as token 0."""
    lists = [ids or [0] for ids in lists]
    before = [i for ids in lists for i in (-1, *ids[:-1])]
    sizes = [len(ids) for ids in lists]
    return Bags(torch.tensor([i for ids in lists for i in ids]), torch.tensor(before), torch.tensor(sizes))


class Words(torch.nn.Module):
    """What is trained, with the arithmetic that the wired network does up to the two means."""

    def __init__(self, start: Learned) -> None:
        super().__init__()
        self.vectors, self.edges, self.left, self.right, self.out = (
            torch.nn.Parameter(torch.from_numpy(part.copy()))
            for part in (start.vectors, start.edges, start.left, start.right, start.out)
        )

    def means(self, bags: Bags, blank: int) -> torch.Tensor:
        """Mean of each list's token vectors as the network's norm shows them, `blank` zero vectors counted in."""
        ids, before, sizes = (part.to(self.vectors.device) for part in (bags.ids, bags.before, bags.sizes))
        count = len(self.vectors)
        pairs, which = torch.unique((before + 1) * count + ids, return_inverse=True)
        shown = self.shown(pairs // count - 1, pairs % count)
        return F.embedding_bag(which, shown, sizes.cumsum(0) - sizes, mode="sum") / (sizes + blank).unsqueeze(-1)

    def shown(self, before: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of tokens (N,) after tokens (N,), as the last layer's norm shows them, shape (N, width)."""
        edges = self.edges[ids]
        rest = self.edges.square().sum(-1, keepdim=True) + CONSTANT_SIZE**2
        ends = self.edges[:, EDGE:] * norm(self.vectors, rest)
        copied = COPY_GAIN * ends[before.clamp_min(0)] * (before >= 0).unsqueeze(-1)
        rest = rest[ids] + copied.square().sum(-1, keepdim=True)
        vectors = self.vectors[ids]
        seen = norm(vectors, rest)
        with torch.autocast(vectors.device.type, dtype=torch.bfloat16):
            joint = F.silu((seen * copied) @ self.left.T) * ((seen * edges[:, :EDGE]) @ self.right.T)
            vectors = vectors + (joint @ self.out.T).float()
        return vectors * norm(vectors, rest)

    def learned(self) -> Learned:
        """What came out of it."""
        return Learned(**{name: part.detach().cpu().numpy() for name, part in self.named_parameters()})


def norm(vectors: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """What an RMS norm multiplies states by, whose other entries' squares have the sum `rest`, shape (N, 1)."""
    return GAIN * (vectors.square().sum(-1, keepdim=True) + rest).rsqrt()


def likeness(query: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
    """The network's score up to a factor for (B, width) and (B, K, width), shape (B, K): 1 if they are equal."""
    size = query.square().sum(-1, keepdim=True) + document.square().sum(-1) + (CONSTANT_SIZE / MEANS_GAIN) ** 2
    return 2 * (query.unsqueeze(1) * document).sum(-1) / size


def train_words(
    start: Learned, draw: Draw, encoder: Encoder, steps: int, device: str = "cpu", seed: int = 0
) -> Learned:
    """Fit what there is at the start: right name against some of the pool and against the whole batch's."""

    def build(rows: list[Row]) -> tuple[Bags, Bags, torch.Tensor]:
        number = {label: i for i, label in enumerate(dict.fromkeys(row.label for row in rows))}
        queries = make_bags(encoder.ids([row.query for row in rows]))
        names = make_bags(encoder.ids([text for row in rows for text in row.candidates]))
        return queries, names, torch.tensor([number[row.label] for row in rows])

    words = Words(start).to(device)
    scale = torch.nn.Parameter(torch.tensor(SCALE, device=device))
    joint = [words.edges, words.left, words.right, words.out]
    rated = ((words.vectors,), VECTOR_RATE), (joint, JOINT_RATE), ((scale,), SCALE_RATE)
    optimizer = torch.optim.Adam([{"params": [*params], "lr": rate} for params, rate in rated], betas=(0.9, 0.99))
    for step, (asked, named, labels) in enumerate(stream(draw, build, ROWS, steps, seed)):
        for group in optimizer.param_groups:
            group["lr"] *= 1 if step < steps // 2 else SLOWED ** (2 / steps)
        q = words.means(asked, QUERY_BLANKS)
        d = words.means(named, DOCUMENT_BLANKS).view(ROWS, draw.candidates, -1)
        labels = labels.to(device)
        others = likeness(q, d[:, 0].unsqueeze(0).expand(ROWS, -1, -1)).masked_fill(labels[:, None] == labels, -1e4)
        logits = torch.cat([likeness(q, d), others], 1) * scale
        loss = F.cross_entropy(logits, torch.zeros(ROWS, dtype=torch.long, device=device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}/{steps} loss {loss.item():.3f} scale {scale.item():.1f}", flush=True)
    return words.learned()
