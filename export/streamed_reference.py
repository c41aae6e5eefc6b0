"""Qwen3 in float32 numpy, one layer in memory at a time: the truth without torch, and for checkpoints of any size.

Written from transformers' modeling_qwen3.py; tests hold it to transformers' logits.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from aatm_onnx.bundle import ConformanceVector
from aatm_onnx.prompt import TokenIds

from .checkpoint import Checkpoint
from .qwen3 import FloatArray, Qwen3, read_qwen3


def float32_logits(checkpoint: Checkpoint, prompts: Sequence[TokenIds]) -> list[ConformanceVector]:
    """Run whole prompts through the model, all of them through one layer before the next layer's weights are read.

    Returns:
        Each prompt with its (no, yes) logits, in order.

    Raises:
        ExportError: the checkpoint has what the fused graph can't express either, or its weights can't be read.
    """
    model = read_qwen3(checkpoint)
    bounds = np.cumsum([0, *map(len, prompts)])  # where each prompt starts and ends among all tokens
    x = np.concatenate([model.rows("model.embed_tokens.weight", int(t), int(t) + 1) for ids in prompts for t in ids])
    for layer in range(model.sizes.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        x += _attention(model, prefix + "self_attn.", _norm(model, x, prefix + "input_layernorm.weight"), bounds)
        x += _mlp(model, prefix + "mlp.", _norm(model, x, prefix + "post_attention_layernorm.weight"))
    last = _norm(model, x[bounds[1:] - 1], "model.norm.weight")  # (prompts, hidden)
    head = "model.embed_tokens.weight" if model.sizes.tie_word_embeddings else "lm_head.weight"
    answers = checkpoint.no_token_id, checkpoint.yes_token_id
    logits = last @ np.concatenate([model.rows(head, token, token + 1) for token in answers]).T  # (prompts, 2)
    return [ConformanceVector(ids.tolist(), pair.tolist()) for ids, pair in zip(prompts, logits, strict=True)]


def _attention(
    model: Qwen3, prefix: str, x: FloatArray, bounds: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> FloatArray:
    """Causal self-attention within each prompt, (tokens, hidden)."""
    sizes = model.sizes
    q, k, v = (
        (x @ model.weight(f"{prefix}{name}_proj.weight").T).reshape(len(x), -1, sizes.head_dim) for name in "qkv"
    )  # (tokens, heads or kv_heads, head_dim)
    q, k = _norm(model, q, prefix + "q_norm.weight"), _norm(model, k, prefix + "k_norm.weight")
    gathered = np.empty_like(q)
    for start, end in pairwise(bounds.tolist()):
        gathered[start:end] = _causal(_rotate(model, q[start:end]), _rotate(model, k[start:end]), v[start:end])
    return gathered.reshape(len(x), -1) @ model.weight(prefix + "o_proj.weight").T


def _causal(q: FloatArray, k: FloatArray, v: FloatArray) -> FloatArray:
    """Attention of one prompt: q (seq, heads, head_dim), k and v (seq, kv_heads, head_dim), to q's shape."""
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = np.einsum("qhd,khd->hqk", q, k, optimize=True) / np.float32(np.sqrt(q.shape[2]))
    scores = np.where(np.tri(len(q), dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    gathered: FloatArray = np.einsum("hqk,khd->qhd", weights, v, optimize=True).astype(np.float32)
    return gathered


def _rotate(model: Qwen3, x: FloatArray) -> FloatArray:
    """Rotary positions 0, 1, ... for x, (seq, heads, head_dim): halves of a head are the pairs' two coordinates."""
    half = model.sizes.head_dim // 2
    frequencies = np.float32(1) / np.float32(model.rope_theta) ** (np.arange(half, dtype=np.float32) / np.float32(half))
    angles = (np.arange(len(x), dtype=np.float32)[:, None] * frequencies)[:, None]  # (seq, 1, half)
    first, second, cos, sin = x[..., :half], x[..., half:], np.cos(angles), np.sin(angles)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _mlp(model: Qwen3, prefix: str, x: FloatArray) -> FloatArray:
    gate = x @ model.weight(prefix + "gate_proj.weight").T
    with np.errstate(over="ignore"):  # exp(large) is inf, and gate / inf the right 0
        gate /= 1 + np.exp(-gate)
    gate *= x @ model.weight(prefix + "up_proj.weight").T
    return gate @ model.weight(prefix + "down_proj.weight").T


def _norm(model: Qwen3, x: FloatArray, name: str) -> FloatArray:
    """RMSNorm over the last axis."""
    scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(model.rms_norm_eps))
    return x * scale * model.weight(name)
