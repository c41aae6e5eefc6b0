"""Qwen3 in float32 numpy, one layer in memory at a time: the truth without torch, and for checkpoints of any size.

Written from transformers' modeling_qwen3.py; tests hold it to transformers' logits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.kv_cache import PrefixKV

from .checkpoint import Checkpoint
from .qwen3 import FloatArray, Qwen3, read_qwen3

# What each weight of the layers is multiplied with on average, (in,).
MeanInputs = dict[str, FloatArray]

_SILU_TOKENS = 512  # tokens whose gates are squashed at a time: 25 MB for each intermediate array at 8B


@dataclass(frozen=True)
class _Tokens:
    """The tokens of some prompts; a beginning that several share is there once.

    ids, places: each token and its place in its prompts, (tokens,).
    paths: for each prompt, the indices of its tokens, (seq,).
    starts: for each prompt, how many of its tokens came with an earlier one.
    """

    ids: NDArray[np.int64]
    places: NDArray[np.int64]
    paths: list[NDArray[np.int64]]
    starts: list[int]

    @property
    def ends(self) -> NDArray[np.int64]:
        """Each prompt's last token, (prompts,)."""
        return np.array([path[-1] for path in self.paths])


@dataclass(frozen=True)
class _Products:
    """Products with the model's weights; what a weight meets on average is noted.

    shares, last_shares: each token's share of that average, (tokens,), and where only prompts' last tokens are asked.
    """

    model: Qwen3
    shares: FloatArray
    last_shares: FloatArray
    mean_inputs: MeanInputs = field(default_factory=dict)

    def of(self, x: FloatArray, name: str, shares: FloatArray) -> FloatArray:
        """x, (tokens, in), times a weight, to (tokens, out)."""
        self.mean_inputs[name] = shares @ x
        product: FloatArray = x @ self.model.weight(name).T
        return product


def float32_logits(checkpoint: Checkpoint, prompts: Sequence[TokenIds]) -> FloatArray:
    """Run whole prompts through the model, all of them through one layer before the next layer's weights are read.

    Returns:
        The (no, yes) logits of each prompt, in order, (prompts, 2).

    Raises:
        ExportError: the checkpoint has what the fused graph can't express either, or its weights can't be read.
    """
    return float32_run(checkpoint, prompts, [], 0)[0]


def float32_run(
    checkpoint: Checkpoint, prompts: Sequence[TokenIds], calibration: Sequence[TokenIds], head: int
) -> tuple[FloatArray, MeanInputs]:
    """As `float32_logits`, for two lists of prompts, and what the layers' weights meet in the second of them.

    Args:
        checkpoint: the model.
        prompts: token ids.
        calibration: more of them.
        head: how many of each calibration prompt's first tokens don't count in the average.
    """
    prompts, first = [*prompts, *calibration], len(prompts)
    model, tokens = read_qwen3(checkpoint), _merge_beginnings(prompts)
    counted = [path[head:] for path in tokens.paths[first:]]
    products = _Products(model, *(_shares(tokens, which) for which in (counted, [path[-1:] for path in counted])))
    x = _embed(model, tokens)
    for _ in _run_layers(products, tokens, x):
        pass
    last = _norm(model, x[tokens.ends], "model.norm.weight")  # (prompts, hidden)
    logits: FloatArray = last @ model.head(checkpoint.no_token_id, checkpoint.yes_token_id)  # (prompts, 2)
    return logits, products.mean_inputs


def float32_past(checkpoint: Checkpoint, ids: TokenIds) -> PrefixKV:
    """The keys and values of a prompt's first tokens, `ids`, (seq,), in all layers."""
    model, tokens = read_qwen3(checkpoint), _merge_beginnings([ids])
    none = np.zeros(len(ids), np.float32)
    run = _run_layers(_Products(model, none, none), tokens, _embed(model, tokens))
    layers = [np.stack(both) for both in run]  # (2, seq, kv_heads, head_dim)
    return PrefixKV(ids, np.ascontiguousarray(np.stack(layers).transpose(0, 1, 3, 2, 4)))


def _merge_beginnings(prompts: Sequence[TokenIds]) -> _Tokens:
    """No token depends on a later one, so prompts are a tree, and each node of it is computed once."""
    nodes: dict[tuple[int, int], int] = {}  # (index of the token before, id) -> index
    paths, starts = [], []
    for prompt in prompts:
        known, node, path = len(nodes), -1, []
        for token in prompt.tolist():
            node = nodes.setdefault((node, token), len(nodes))
            path.append(node)
        paths.append(np.array(path))
        starts.append(int(np.searchsorted(paths[-1], known)))
    places = np.zeros(len(nodes), np.int64)
    for path in paths:
        places[path] = np.arange(len(path))
    return _Tokens(np.array([token for _, token in nodes]), places, paths, starts)


def _shares(tokens: _Tokens, paths: Sequence[NDArray[np.int64]]) -> FloatArray:
    """Each token's share, (tokens,), of an average over those on some paths; all 0 where these are empty."""
    shares = np.zeros(len(tokens.ids), np.float32)
    for path in paths:
        shares[path] = 1
    return shares / np.float32(max(1, shares.sum()))


def _embed(model: Qwen3, tokens: _Tokens) -> FloatArray:
    """(tokens, hidden)."""
    return np.concatenate([model.rows("model.embed_tokens.weight", token, token + 1) for token in tokens.ids.tolist()])


def _run_layers(products: _Products, tokens: _Tokens, x: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Take x, (tokens, hidden), in place through one layer after the other.

    Yields:
        Each layer's keys and values, (tokens, kv_heads, head_dim).
    """
    model = products.model
    for layer in range(model.sizes.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        # In the last layer the graph computes nothing else for other tokens than keys and values.
        asking = products.last_shares if layer == model.sizes.num_hidden_layers - 1 else products.shares
        normed = _norm(model, x, prefix + "input_layernorm.weight")
        q, k, v = _queries_keys_values(products, prefix + "self_attn.", normed, tokens, asking)
        gathered = np.empty_like(q)
        for path, start in zip(tokens.paths, tokens.starts, strict=True):
            if start < len(path):
                gathered[path[start:]] = _causal(q[path[start:]], k[path], v[path])
        x += products.of(gathered.reshape(len(x), -1), prefix + "self_attn.o_proj.weight", asking)
        x += _mlp(products, prefix + "mlp.", _norm(model, x, prefix + "post_attention_layernorm.weight"), asking)
        yield k, v


def _queries_keys_values(
    products: _Products, prefix: str, x: FloatArray, tokens: _Tokens, asking: FloatArray
) -> list[FloatArray]:
    """Queries and keys, normed and rotated, and values of x, (tokens, hidden): (tokens, (kv_)heads, head_dim) each."""
    model = products.model
    q, k, v = (
        products.of(x, f"{prefix}{name}_proj.weight", shares).reshape(len(x), -1, model.sizes.head_dim)
        for name, shares in (("q", asking), ("k", products.shares), ("v", products.shares))
    )
    q, k = _norm(model, q, prefix + "q_norm.weight"), _norm(model, k, prefix + "k_norm.weight")
    return [_rotate(model, q, tokens.places), _rotate(model, k, tokens.places), v]


def _causal(q: FloatArray, k: FloatArray, v: FloatArray) -> FloatArray:
    """Attention of a prompt's last n tokens: q (n, heads, head_dim), k, v (seq, kv_heads, head_dim), to q's shape."""
    n, seq, kv_heads = len(q), *k.shape[:2]
    # All queries that meet one key/value head are one matrix, (kv_heads, n * group, head_dim).
    queries = q.reshape(n, kv_heads, -1, q.shape[2]).transpose(1, 0, 2, 3).reshape(kv_heads, -1, q.shape[2])
    scores = queries @ k.transpose(1, 2, 0) / np.float32(np.sqrt(q.shape[2]))
    scores = scores.reshape(kv_heads, n, -1, seq)
    visible = np.tri(n, seq, seq - n, dtype=bool)[:, None]  # (n, 1, seq)
    scores = np.where(visible, scores, np.float32(-np.inf))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf))
    weights /= weights.sum(axis=-1, keepdims=True)
    gathered = weights.reshape(kv_heads, -1, seq) @ v.transpose(1, 0, 2)
    return gathered.reshape(kv_heads, n, -1, q.shape[2]).transpose(1, 0, 2, 3).reshape(q.shape)


def _rotate(model: Qwen3, x: FloatArray, places: NDArray[np.int64]) -> FloatArray:
    """Rotary positions for x, (tokens, heads, head_dim): halves of a head are the pairs' two coordinates."""
    half = model.sizes.head_dim // 2
    frequencies = np.float32(1) / np.float32(model.rope_theta) ** (np.arange(half, dtype=np.float32) / np.float32(half))
    angles = (places.astype(np.float32)[:, None] * frequencies)[:, None]  # (tokens, 1, half)
    first, second, cos, sin = x[..., :half], x[..., half:], np.cos(angles), np.sin(angles)
    rotated: FloatArray = np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return rotated


def _mlp(products: _Products, prefix: str, x: FloatArray, asking: FloatArray) -> FloatArray:
    """down(silu(gate(x)) * up(x)), (tokens, hidden)."""
    gated = products.of(x, prefix + "gate_proj.weight", asking)
    with np.errstate(over="ignore"):  # exp(large) is inf, and gate / inf the right 0
        for start in range(0, len(x), _SILU_TOKENS):
            gated[start : start + _SILU_TOKENS] /= 1 + np.exp(-gated[start : start + _SILU_TOKENS])
    gated *= products.of(x, prefix + "up_proj.weight", asking)
    return products.of(gated, prefix + "down_proj.weight", asking)


def _norm(model: Qwen3, x: FloatArray, name: str) -> FloatArray:
    """RMSNorm over the last axis."""
    normed: FloatArray = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(model.rms_norm_eps))
    return normed * model.weight(name)
