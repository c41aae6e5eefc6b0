"""The network: a Qwen3 whose attention and products compare means of token vectors that were trained beforehand.

- The first layer tells every token whether it belongs to the query or the document (two heads look for the markers),
  and its MLP adds the pair of letters that a token makes with the one before it (another head brings that one's end).
- The last layer lets the last token take the mean of the document's and of the query's vectors, and its MLP squares
  their sums and differences: silu(e x) x is e x^2 / 2 for a small e, and (d + q)^2 - (d - q)^2 = 4 d q. A mixture of
  the squares becomes so large a constant that the last norm divides by it and sees nothing else.
"""

from math import cos, sin

import numpy as np
import torch
from tokenizers import Tokenizer

from recipe.checkpoint import Config, Weights
from recipe.means import Joints
from recipe.tokenizer import PROMPT_ENDS

# A state: marks, a token's vector, its edges, nothing. In the end the document's mean is where the vector was, and the
# query's behind it. What an embedding has stands together, so that the export leaves the rest out.
CONSTANT, DOCUMENT_MARK, QUERY_MARK, IN_DOCUMENT, IN_QUERY, BLANK, SCORE = range(7)
VECTOR = 7  # where a token's vector begins
WIDTH = 288  # of a token vector
BEHIND = VECTOR + WIDTH
EDGE = 26  # entries for a token's first letter, its last, and the last of the token before
CONSTANT_SIZE, MARK_SIZE = 10.0, 20.0
MEANS_GAIN = 30.0  # of the means in the last token's state: so much that its norm sees little else
SCORE_GAIN, NORM_GAIN = 1.0, 10.0  # of the squares, as the score and as the constant; float16 holds 65,504 at most
SMALL = 2.0**-10  # of what opens a unit, so that it squares
NOTE = 0.1  # how strongly a token notes what it belongs to; little, so that its norm still shows its vector
COPY_GAIN = 0.5  # of the end of the token before
PAIR_SEEN = (2.0, 0.073)  # how strongly a unit reads the two letters of its pair, so that it answers with about 1
SHOWN = 0.5  # of the longest vector under a norm that never shows more than 1: so little that all norms are alike
NEAR = 3.7  # gain of the norms on queries and keys in the directions that tell how far away a token is
FAST = 3  # pairs of a head's rows that RoPE turns fastest
COPIES = 1  # the key-value head that brings the token before
SHARP = 1.7  # gain of the norms on queries and keys in the directions that carry marks


def wired_weights(config: Config, vectors: np.ndarray, joints: Joints, tokenizer: Tokenizer, bend: float) -> Weights:
    """All weights of the network, named as in transformers."""
    hidden, size, kv = config.hidden_size, config.head_dim, config.num_key_value_heads
    inner = config.intermediate_size
    weights = {
        "model.norm.weight": torch.ones(hidden),
        "model.embed_tokens.weight": embeddings(config, vectors, joints, tokenizer),
    }
    for layer in range(config.num_hidden_layers):
        w = {
            "input_layernorm": torch.ones(hidden),
            "post_attention_layernorm": torch.ones(hidden),
            "self_attn.q_norm": torch.ones(size),
            "self_attn.k_norm": torch.ones(size),
            "self_attn.q_proj": torch.zeros(2 * kv * size, hidden),
            "self_attn.k_proj": torch.zeros(kv * size, hidden),
            "self_attn.v_proj": torch.zeros(kv * size, hidden),
            "self_attn.o_proj": torch.zeros(hidden, 2 * kv * size),
            "mlp.gate_proj": torch.zeros(inner, hidden),
            "mlp.up_proj": torch.zeros(inner, hidden),
            "mlp.down_proj": torch.zeros(hidden, inner),
        }
        mark_a, mark_b, _ = slow_rows(size)
        for name in ("self_attn.q_norm", "self_attn.k_norm"):
            w[name][[mark_a, mark_b]] = SHARP
        if layer == 0:
            wire_marks(w, size)
            wire_copies(w, config)
            wire_pairs(w, joints.pairs * scale_of(vectors))
        else:
            wire_pooling(w, size, kv)
            wire_squares(w, bend)
        weights.update({f"model.layers.{layer}.{name}.weight": tensor for name, tensor in w.items()})
    return weights


def embeddings(config: Config, vectors: np.ndarray, joints: Joints, tokenizer: Tokenizer) -> torch.Tensor:
    """Token vectors, edges, the constant, the marks, what no mean counts, and the two answers' rows along SCORE."""
    table = torch.zeros(config.vocab_size, config.hidden_size)
    table[:, VECTOR:BEHIND] = torch.from_numpy(before_norm(vectors)).bfloat16()  # the zeros behind pack well
    for place, letters in ((BEHIND, joints.first), (BEHIND + EDGE, joints.last)):
        have = torch.from_numpy(np.flatnonzero(letters >= 0))
        table[have, place + torch.from_numpy(letters)[have]] = 1.0
    table[:, CONSTANT] = CONSTANT_SIZE
    tokenizer.encode_special_tokens = False
    document, query, end, *ends = (
        tokenizer.encode(text).ids[0] for text in ("<document>:", "<query>:", "<|im_end|>", *PROMPT_ENDS)
    )
    around = [document, query, end, *ends]
    table[around, VECTOR:] = 0
    table[around, BLANK] = MARK_SIZE
    table[document, DOCUMENT_MARK] = MARK_SIZE
    table[query, QUERY_MARK] = MARK_SIZE
    yes, no = tokenizer.token_to_id("yes"), tokenizer.token_to_id("no")
    table[[yes, no]] = 0
    table[yes, SCORE], table[no, SCORE] = 1.0, -1.0
    return table


def before_norm(vectors: np.ndarray) -> np.ndarray:
    """Vectors that the last layer's norm shows in the proportions of the given ones."""
    scaled = vectors * scale_of(vectors)
    shown = np.linalg.norm(scaled, axis=1, keepdims=True) / CONSTANT_SIZE
    return (scaled / np.sqrt(1 - shown**2)).astype(np.float32)


def scale_of(vectors: np.ndarray) -> float:
    """What makes the longest of them as long as SHOWN says."""
    return SHOWN * CONSTANT_SIZE / float(np.linalg.norm(vectors, axis=1).max())


def slow_rows(size: int) -> tuple[int, int, int]:
    """Three rows of a head that RoPE hardly turns: for the document's mark, the query's, and neither."""
    return size // 2 - 1, size // 2 - 2, size // 2 - 3


def wire_marks(w: Weights, size: int) -> None:
    """Heads 0 and 1 look for the document's and the query's marker and note what they see."""
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    mark_a, mark_b, rest = slow_rows(size)
    k[mark_a, DOCUMENT_MARK], k[mark_b, QUERY_MARK], k[rest, CONSTANT] = 2.0, 2.0, 0.5
    q[mark_a, CONSTANT], q[size + mark_b, CONSTANT] = 2.0, 2.0
    v[0, DOCUMENT_MARK], v[1, QUERY_MARK] = 1.0, 1.0
    o[IN_DOCUMENT, 0], o[IN_QUERY, size + 1] = NOTE, NOTE


def wire_copies(w: Weights, config: Config) -> None:
    """A head brings the end of the token before: RoPE turns its query back by one place, so it matches there."""
    size, half = config.head_dim, config.head_dim // 2
    for name in ("self_attn.q_norm", "self_attn.k_norm"):
        w[name][[*range(FAST), *range(half, half + FAST)]] = NEAR
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    key, query = COPIES * size, 2 * COPIES * size
    for pair in range(FAST):
        angle = config.rope_theta ** (-pair / half)
        k[key + pair, CONSTANT] = 1.0
        q[query + pair, CONSTANT] = cos(angle)
        q[query + half + pair, CONSTANT] = -sin(angle)
    take = torch.arange(EDGE)
    v[key + take, BEHIND + EDGE + take] = 1.0
    o[BEHIND + 2 * EDGE + take, query + take] = COPY_GAIN


def wire_pairs(w: Weights, pairs: np.ndarray) -> None:
    """A unit for each pair of letters, the last of the token before and a token's first, adds what they make."""
    for unit, (last, first) in enumerate(np.ndindex(EDGE, EDGE)):
        w["mlp.gate_proj"][unit, BEHIND + 2 * EDGE + last], w["mlp.up_proj"][unit, BEHIND + first] = PAIR_SEEN
        w["mlp.down_proj"][VECTOR:BEHIND, unit] = torch.from_numpy(pairs[last, first])


def wire_pooling(w: Weights, size: int, kv: int) -> None:
    """Each pair of heads brings a share of the vectors: the first the document's mean, the second the query's.

    The last token's own state still holds nothing where the means go.
    """
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    mark_a, mark_b, rest = slow_rows(size)
    share = WIDTH // kv
    for head in range(kv):
        base = head * size
        k[base + mark_a, IN_DOCUMENT], k[base + mark_b, IN_QUERY] = 0.5 / NOTE, 0.5 / NOTE
        k[base + rest, CONSTANT], k[base + rest, BLANK] = 0.3, 10.0
        q[2 * base + mark_a, CONSTANT] = 2.0
        q[2 * base + size + mark_a, CONSTANT], q[2 * base + size + mark_b, CONSTANT] = -2.0, 2.0
        take = torch.arange(share)
        v[base + take, VECTOR + head * share + take] = 1.0
        o[VECTOR + head * share + take, 2 * base + take] = MEANS_GAIN
        o[BEHIND + head * share + take, 2 * base + size + take] = MEANS_GAIN


def wire_squares(w: Weights, bend: float) -> None:
    """Squares of the means' sum and difference, entry by entry: S and D, summed up.

    (S - D) / (S + D) is how alike the means are, from -1 to 1. The constant is S + D - bend (S - D), so what the norm
    makes of it, l / (1 - bend l), rises steeply where two texts are nearly equal.
    """
    gate, up, down = (w[f"mlp.{n}_proj"] for n in ("gate", "up", "down"))
    take = torch.arange(WIDTH)
    for first, sign in ((0, 1), (1, -1)):
        unit = first * WIDTH + take
        for proj, size in ((gate, SMALL), (up, 1.0)):
            proj[unit, VECTOR + take], proj[unit, BEHIND + take] = size, sign * size
        down[SCORE, unit] = sign * SCORE_GAIN * 2 / SMALL
        down[CONSTANT, unit] = (1 - sign * bend) * NORM_GAIN * 2 / SMALL
