"""Qwen3, written out for training on packed rows: one query with K candidates that all see the same head and query.

The weights carry transformers' names and mean the same there. Three groups of tokens flow through each layer: the head
(system prompt and task, one copy a batch), the queries, and the documents with their suffix. A query sees the head and
itself; a document sees the head, its query and itself. Linear layers run on the tokens without padding, attention on
padded groups. Shapes: T tokens, B queries, K candidates each, L padded length, G key-value heads, R query heads for
each of them, D head size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

Weights = dict[str, torch.Tensor]


@dataclass
class Config:
    """The sizes of a network, named as in transformers' configuration."""

    vocab_size: int
    hidden_size: int = 256
    intermediate_size: int = 640
    num_hidden_layers: int = 5
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    head_dim: int = 32
    rope_theta: float = 1_000_000.0
    rms_norm_eps: float = 1e-6


@dataclass
class Group:
    """Padded arrangement (B, K, L) of a flat run of tokens."""

    ids: torch.Tensor  # (T,) token ids
    positions: torch.Tensor  # (T,)
    slots: torch.Tensor  # (B, K, L) flat token of each slot; 0 where padded
    filled: torch.Tensor  # (B, K, L) whether the slot holds a token
    places: torch.Tensor  # (T,) flat slot of each token

    @property
    def last(self) -> torch.Tensor:
        """Flat index of each sequence's last token, shape (B * K,)."""
        ends = self.filled.sum(-1, keepdim=True) - 1
        return self.slots.gather(-1, ends).flatten()


def make_group(sequences: list[list[list[int]]], starts: list[int]) -> Group:
    """Token lists nested as [B][K]; row b's positions begin at starts[b]."""
    lengths = torch.tensor([[len(s) for s in row] for row in sequences])
    filled = torch.arange(int(lengths.max())) < lengths.unsqueeze(-1)
    slots = (filled.flatten().cumsum(0) - 1).clamp(min=0).view(filled.shape) * filled
    flat = [i for row in sequences for s in row for i in s]
    within = torch.arange(filled.shape[-1]).expand(filled.shape) + torch.tensor(starts)[:, None, None]
    return Group(torch.tensor(flat), within[filled], slots, filled, filled.flatten().nonzero().flatten())


@dataclass
class Batch:
    """Rows of one query and K candidates each."""

    head: Group
    queries: Group
    documents: Group

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        groups = (self.head, self.queries, self.documents)
        return Batch(*(Group(*(t.to(device, non_blocking=True) for t in vars(g).values())) for g in groups))


def make_batch(head: list[int], queries: list[list[int]], documents: list[list[list[int]]]) -> Batch:
    """`head`, `queries` and `documents` (each ending in the suffix) are token ids."""
    starts = [len(head) + len(query) for query in queries]
    return Batch(
        make_group([[head]], [0]),
        make_group([[query] for query in queries], [len(head)] * len(queries)),
        make_group(documents, starts),
    )


class Gather(torch.autograd.Function):
    """Flat tokens (T, width) to slots (B, K, L, width), with a cheap gradient: each token has one slot."""

    @staticmethod
    def forward(ctx, flat: torch.Tensor, slots: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(places)
        return flat.index_select(0, slots.flatten()).view(*slots.shape, -1)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return grad.reshape(-1, grad.shape[-1]).index_select(0, places), None, None


class Scatter(torch.autograd.Function):
    """Slots (B, K, L, width) back to flat tokens (T, width)."""

    @staticmethod
    def forward(ctx, padded: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(places)
        ctx.shape = padded.shape
        return padded.reshape(-1, padded.shape[-1]).index_select(0, places)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (places,) = ctx.saved_tensors
        padded = grad.new_zeros(ctx.shape).view(-1, ctx.shape[-1])
        return padded.index_copy_(0, places, grad).view(ctx.shape), None


def linear(x: torch.Tensor, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """x @ weight.T in the working precision."""
    return F.linear(x.to(dtype), weight.to(dtype))


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """RoPE in Qwen's half-split form. x: (T, heads, D); cos, sin: (T, 1, D / 2)."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, shared: tuple[torch.Tensor, ...] | None
) -> torch.Tensor:
    """Attention over a sequence's own tokens and over those its row shares.

    q: (G, B, K, R, L, D); k, v: (G, B, K, M, D); mask: (B, K, L, M) true where allowed; shared: keys and values
    (G, B, S, D) with their mask (B, S). Returns (G, B, K, R, L, D).
    """
    groups, rows, count, repeat, length, size = q.shape
    own = q.reshape(groups, rows, count, repeat * length, size) @ k.transpose(-1, -2)
    own = own.view(groups, rows, count, repeat, length, -1).float().masked_fill(~mask.unsqueeze(2), -1e9)
    if shared is None:
        return (own.mul(size**-0.5).softmax(-1).to(v.dtype).flatten(3, 4) @ v).view(q.shape)
    keys, values, seen = shared
    joint = q.reshape(groups, rows, count * repeat * length, size)
    other = (joint @ keys.transpose(-1, -2)).view(groups, rows, count, repeat, length, -1)
    other = other.float().masked_fill(~seen[:, None, None, None], -1e9)
    weights = torch.cat([other, own], -1).mul(size**-0.5).softmax(-1).to(v.dtype)
    left, right = weights.split([other.shape[-1], own.shape[-1]], -1)
    return (left.flatten(2, 4) @ values).view(q.shape) + (right.flatten(3, 4) @ v).view(q.shape)


LAYER = [
    "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "self_attn.q_norm", "self_attn.k_norm", "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
]  # fmt: skip


def scores(weights: Weights, config: Config, batch: Batch, answer: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
    """logit(yes) - logit(no) at the last token of every candidate, shape (B, K). `answer` holds the two token ids."""
    yes, no = weights["model.embed_tokens.weight"][list(answer)]
    return last_states(weights, config, batch, dtype) @ (yes - no)


def last_states(weights: Weights, config: Config, batch: Batch, dtype: torch.dtype) -> torch.Tensor:
    """What the head reads at the last token of every candidate, shape (B, K, hidden)."""
    rows, count, _ = batch.documents.filled.shape
    groups = [batch.head, batch.queries, batch.documents]
    positions = torch.cat([g.positions for g in groups]).float()
    steps = config.rope_theta ** (-torch.arange(0, config.head_dim, 2, device=positions.device) / config.head_dim)
    angles = (positions[:, None] * steps).unsqueeze(1)
    turn = (angles.cos(), angles.sin())
    x = F.embedding(torch.cat([g.ids for g in groups]), weights["model.embed_tokens.weight"])
    for layer in range(config.num_hidden_layers):
        w = {name: weights[f"model.layers.{layer}.{name}.weight"] for name in LAYER}
        x = one_layer(x, w, config, groups, turn, dtype, closing=layer == config.num_hidden_layers - 1)
    return F.rms_norm(x, (x.shape[-1],), weights["model.norm.weight"], config.rms_norm_eps).view(rows, count, -1)


def one_layer(
    x: torch.Tensor,
    w: Weights,
    config: Config,
    groups: list[Group],
    turn: tuple[torch.Tensor, torch.Tensor],
    dtype: torch.dtype,
    closing: bool,
) -> torch.Tensor:
    """A layer on all tokens (T, hidden). The closing one keeps the documents' last tokens only (B * K, hidden)."""
    _head, queries, documents = groups
    rows, count, _ = documents.filled.shape
    kv, size, eps = config.num_key_value_heads, config.head_dim, config.rms_norm_eps
    sizes = [len(g.ids) for g in groups]
    normed = F.rms_norm(x, (x.shape[-1],), w["input_layernorm"], eps).to(dtype)
    key = turned_heads(linear(normed, w["self_attn.k_proj"], dtype), w["self_attn.k_norm"], turn, eps)
    keys = [spread(t, g, kv) for t, g in zip(key.split(sizes), groups, strict=True)]
    values = [
        spread(t, g, kv) for t, g in zip(linear(normed, w["self_attn.v_proj"], dtype).split(sizes), groups, strict=True)
    ]
    of_head = [t[0].squeeze(2).expand(-1, rows, -1, -1) for t in (keys, values)]
    shared = [torch.cat([h, t[1].squeeze(2)], 2) for h, t in zip(of_head, (keys, values), strict=True)]
    seen = torch.cat([queries.filled.new_ones(rows, sizes[0]), queries.filled[:, 0]], 1)
    if closing:
        last = documents.last + sizes[0] + sizes[1]
        x, normed, turn = x[last], normed[last], (turn[0][last], turn[1][last])
    query = turned_heads(linear(normed, w["self_attn.q_proj"], dtype), w["self_attn.q_norm"], turn, eps)
    if closing:
        query = query.view(rows, count, 1, kv, -1, size).permute(3, 0, 1, 4, 2, 5)
        mixed = attend(query, keys[2], values[2], documents.filled.unsqueeze(-2), (*shared, seen))
        mixed = mixed.permute(1, 2, 4, 0, 3, 5).reshape(rows * count, -1)
    else:
        before = [None, (*of_head, seen[:, : sizes[0]]), (*shared, seen)]
        repeat = config.num_attention_heads // kv
        mixed = torch.cat(
            [
                gather_back(attend(spread(t, g, kv, repeat), k, v, causal(g), past), g)
                for t, g, k, v, past in zip(query.split(sizes), groups, keys, values, before, strict=True)
            ]
        )
    x = x + linear(mixed, w["self_attn.o_proj"], dtype)
    normed = F.rms_norm(x, (x.shape[-1],), w["post_attention_layernorm"], eps).to(dtype)
    inner = F.silu(linear(normed, w["mlp.gate_proj"], dtype)) * linear(normed, w["mlp.up_proj"], dtype)
    return x + linear(inner, w["mlp.down_proj"], dtype)


def turned_heads(
    flat: torch.Tensor, gain: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor], eps: float
) -> torch.Tensor:
    """Norm over each head and RoPE; (T, heads * D) in and out."""
    heads = flat.view(len(flat), -1, len(gain)).float()
    return rotate(F.rms_norm(heads, (len(gain),), gain, eps), *turn).to(flat.dtype).flatten(1)


def causal(group: Group) -> torch.Tensor:
    """Which of its own sequence's slots a slot may see, shape (B, K, L, L)."""
    length = group.filled.shape[-1]
    return group.filled.unsqueeze(-2) & group.filled.new_ones(length, length).tril()


def spread(flat: torch.Tensor, group: Group, kv: int, repeat: int | None = None) -> torch.Tensor:
    """Flat (T, heads * D) to (G, B, K, L, D), or with `repeat` query heads a group to (G, B, K, R, L, D)."""
    padded = Gather.apply(flat, group.slots, group.places)
    if repeat is None:
        return padded.view(*padded.shape[:3], kv, -1).permute(3, 0, 1, 2, 4)
    return padded.view(*padded.shape[:3], kv, repeat, -1).permute(3, 0, 1, 4, 2, 5)


def gather_back(mixed: torch.Tensor, group: Group) -> torch.Tensor:
    """(G, B, K, R, L, D) to flat (T, heads * D)."""
    return Scatter.apply(mixed.permute(1, 2, 4, 0, 3, 5).flatten(3), group.places)
