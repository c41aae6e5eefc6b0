"""Qwen3 in float32 numpy, one layer in memory at a time: the truth without torch, and for checkpoints of any size.

Written from transformers' modeling_qwen3.py; tests hold it to transformers' logits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.kv_cache import PrefixKV

from ..checkpoint import Checkpoint, CheckpointWeights, FloatArray, read_weights
from ..graph.smoothing import InputStatistics

_SILU_TOKENS = 512  # tokens whose gates are squashed at a time: 25 MB for each intermediate array at 8B


@dataclass(frozen=True)
class ReferenceRun:
    """What one pass over a checkpoint's weights yields.

    Attributes:
        logits: of "no" and "yes" for each prompt, in order, (prompts, 2).
        prefix: keys and values of the shared prefix, in all layers.
        inputs: what the weights of the layers meet over the calibration prompts.
    """

    logits: FloatArray
    prefix: PrefixKV
    inputs: InputStatistics


@dataclass(frozen=True)
class _Tokens:
    """The tokens of some prompts; what several begin with is there once.

    Attributes:
        ids: each token, (tokens,).
        positions: its position in its prompts, (tokens,).
        paths: for each prompt, the indices of its tokens, (seq,).
        starts: for each prompt, how many of its tokens came with an earlier one.
    """

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    paths: list[NDArray[np.int64]]
    starts: list[int]


@dataclass(frozen=True)
class _Products:
    """Products with the checkpoint's weights, and what these meet.

    Attributes:
        weights: the checkpoint's.
        shares: each token's share of an average, (tokens,).
        last_shares: the same where only prompts' last tokens count.
        mean, variance, largest, largest_weight: as in `InputStatistics`, filled as products are made.
    """

    weights: CheckpointWeights
    shares: FloatArray
    last_shares: FloatArray
    mean: dict[str, FloatArray] = field(default_factory=dict)
    variance: dict[str, FloatArray] = field(default_factory=dict)
    largest: dict[str, FloatArray] = field(default_factory=dict)
    largest_weight: dict[str, FloatArray] = field(default_factory=dict)

    def of(self, x: FloatArray, name: str, shares: FloatArray) -> FloatArray:
        """x, (tokens, in), times a weight, to (tokens, out)."""
        weight = self.weights.whole(name)
        self.mean[name] = shares @ x
        squares = np.einsum("t,ti,ti->i", shares, x, x)  # without an array of x's size
        self.variance[name] = np.maximum(squares - np.square(self.mean[name]), 0)
        self.largest[name] = np.abs(x[shares > 0]).max(axis=0, initial=0.0)
        self.largest_weight[name] = np.maximum(weight.max(axis=0), -weight.min(axis=0))
        product: FloatArray = x @ weight.T
        return product


def float32_logits(
    checkpoint: Checkpoint, prompts: Sequence[TokenIds], done: Callable[[float], object] = lambda fraction: None
) -> FloatArray:
    """Run whole prompts through the model, all of them through one layer before the next layer's weights are read.

    Args:
        checkpoint: the model.
        prompts: token ids.
        done: called after each layer, with the fraction of them that is done.

    Returns:
        The (no, yes) logits of each prompt, in order, (prompts, 2).

    Raises:
        ExportError: the checkpoint has what the fused graph can't express either, or its weights can't be read.
    """
    return reference_run(checkpoint, prompts, [], np.empty(0, np.int32), done).logits


def reference_run(
    checkpoint: Checkpoint,
    prompts: Sequence[TokenIds],
    calibration: Sequence[TokenIds],
    prefix: TokenIds,
    done: Callable[[float], object] = lambda fraction: None,
) -> ReferenceRun:
    """Run all that an export wants to know through the model, in one pass over the weights.

    Args:
        checkpoint: the model.
        prompts: token ids.
        calibration: more of them, whose tokens after the prefix count for what weights meet.
        prefix: what all calibration prompts begin with.
        done: called after each layer, with the fraction of them that is done.

    Returns:
        The logits of `prompts`, then of `calibration`, and the rest.

    Raises:
        ExportError: as `float32_logits`.
    """
    weights, first = read_weights(checkpoint), len(prompts)
    tokens = _merge_prefixes([*prompts, *calibration, *([prefix] if len(prefix) else [])])
    counted = [path[len(prefix) :] for path in tokens.paths[first : first + len(calibration)]]
    products = _Products(weights, _shares(tokens, counted), _shares(tokens, [path[-1:] for path in counted]))
    of_prefix = tokens.paths[-1] if len(prefix) else np.empty(0, np.int64)
    x = _embed(weights, tokens)
    keys_values: list[FloatArray] = []
    with np.errstate(over="ignore", invalid="ignore"):  # whoever asked looks whether the logits are numbers
        for layer, own in enumerate(_run_layers(products, tokens, x)):
            keys_values.append(np.stack([each[of_prefix] for each in own]))  # (2, prefix, kv_heads, head_dim)
            done((layer + 1) / weights.config.num_hidden_layers)
    ends = [path[-1] for path in tokens.paths[: first + len(calibration)]]
    last = _norm(weights, x[ends], "model.norm.weight")  # (prompts, hidden)
    logits: FloatArray = last @ weights.no_yes_rows(checkpoint.no_token_id, checkpoint.yes_token_id)  # (prompts, 2)
    past = np.ascontiguousarray(np.stack(keys_values).transpose(0, 1, 3, 2, 4))
    inputs = InputStatistics(products.mean, products.variance, products.largest, products.largest_weight)
    return ReferenceRun(logits, PrefixKV(prefix, past), inputs)


def _merge_prefixes(prompts: Sequence[TokenIds]) -> _Tokens:
    """No token depends on a later one, so prompts are a tree, and each node of it is computed once."""
    nodes: dict[tuple[int, int], int] = {}  # (index of the token before, id) -> index
    paths: list[NDArray[np.int64]] = []
    starts: list[int] = []
    for prompt in prompts:
        known, node, indices = len(nodes), -1, list[int]()
        for token in prompt.tolist():
            node = nodes.setdefault((node, token), len(nodes))
            indices.append(node)
        paths.append(np.array(indices, np.int64))
        starts.append(int(np.searchsorted(paths[-1], known)))
    positions = np.zeros(len(nodes), np.int64)
    for path in paths:
        positions[path] = np.arange(len(path))
    return _Tokens(np.array([token for _, token in nodes]), positions, paths, starts)


def _shares(tokens: _Tokens, paths: Sequence[NDArray[np.int64]]) -> FloatArray:
    """Each token's share, (tokens,), of an average over those on some paths; all 0 where these are empty."""
    shares = np.zeros(len(tokens.ids), np.float32)
    for path in paths:
        shares[path] = 1
    return shares / np.float32(max(1, shares.sum()))


def _embed(weights: CheckpointWeights, tokens: _Tokens) -> FloatArray:
    """Embeddings, (tokens, hidden)."""
    return np.concatenate(
        [weights.rows("model.embed_tokens.weight", token, token + 1) for token in tokens.ids.tolist()]
    )


def _run_layers(products: _Products, tokens: _Tokens, x: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Take x, (tokens, hidden), in place through one layer after the other.

    Yields:
        Each layer's keys and values, (tokens, kv_heads, head_dim).
    """
    weights = products.weights
    for layer in range(weights.config.num_hidden_layers):
        name = f"model.layers.{layer}."
        # In the last layer the graph computes only keys and values for tokens other than each prompt's last one.
        shares = products.last_shares if layer == weights.config.num_hidden_layers - 1 else products.shares
        normed = _norm(weights, x, name + "input_layernorm.weight")
        q, k, v = _queries_keys_values(products, name + "self_attn.", normed, tokens, shares)
        gathered = np.empty_like(q)
        for path, start in zip(tokens.paths, tokens.starts, strict=True):
            if start < len(path):
                gathered[path[start:]] = _causal(q[path[start:]], k[path], v[path])
        x += products.of(gathered.reshape(len(x), -1), name + "self_attn.o_proj.weight", shares)
        x += _mlp(products, name + "mlp.", _norm(weights, x, name + "post_attention_layernorm.weight"), shares)
        yield k, v


def _queries_keys_values(
    products: _Products, name: str, x: FloatArray, tokens: _Tokens, shares: FloatArray
) -> list[FloatArray]:
    """Queries and keys, normed and rotated, and values of x, (tokens, hidden): (tokens, (kv_)heads, head_dim) each."""
    weights = products.weights
    q, k, v = (
        products.of(x, f"{name}{kind}_proj.weight", counted).reshape(len(x), -1, weights.config.head_dim)
        for kind, counted in (("q", shares), ("k", products.shares), ("v", products.shares))
    )
    q, k = _norm(weights, q, name + "q_norm.weight"), _norm(weights, k, name + "k_norm.weight")
    return [_rotate(weights, q, tokens.positions), _rotate(weights, k, tokens.positions), v]


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
    gathered: FloatArray = weights.reshape(kv_heads, -1, seq) @ v.transpose(1, 0, 2)
    return gathered.reshape(kv_heads, n, -1, q.shape[2]).transpose(1, 0, 2, 3).reshape(q.shape)


def _rotate(weights: CheckpointWeights, x: FloatArray, positions: NDArray[np.int64]) -> FloatArray:
    """Rotary positions for x, (tokens, heads, head_dim): halves of a head are the pairs' two coordinates."""
    half = weights.config.head_dim // 2
    frequencies = np.float32(1) / np.float32(weights.rope_theta) ** (
        np.arange(half, dtype=np.float32) / np.float32(half)
    )
    angles = (positions.astype(np.float32)[:, None] * frequencies)[:, None]  # (tokens, 1, half)
    first, second, cos, sin = x[..., :half], x[..., half:], np.cos(angles), np.sin(angles)
    rotated: FloatArray = np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return rotated


def _mlp(products: _Products, name: str, x: FloatArray, shares: FloatArray) -> FloatArray:
    """down(silu(gate(x)) * up(x)), (tokens, hidden)."""
    gated = products.of(x, name + "gate_proj.weight", shares)
    with np.errstate(over="ignore"):  # exp(large) is inf, and gate / inf the right 0
        for start in range(0, len(x), _SILU_TOKENS):
            gated[start : start + _SILU_TOKENS] /= 1 + np.exp(-gated[start : start + _SILU_TOKENS])
    gated *= products.of(x, name + "up_proj.weight", shares)
    return products.of(gated, name + "down_proj.weight", shares)


def _norm(weights: CheckpointWeights, x: FloatArray, name: str) -> FloatArray:
    """RMSNorm over the last axis."""
    normed: FloatArray = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(weights.rms_norm_eps))
    return normed * weights.whole(name)
