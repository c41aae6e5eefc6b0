"""The network: a Qwen3 whose attention and products compare means of token vectors that were trained beforehand.

- The first layer tells every token whether it belongs to the query or the document (a head looks for the markers), and
  its MLP adds the pair of letters that a token makes with the one before it (the other head brings that one's end).
- The second layer lets the document's marker take the mean of the query's vectors, and the document's end that of the
  document's, so large that the next norm sees nothing else: it makes both as long as each other.
- The last layer brings half of their sum to the last token, and its MLP squares that: silu(e x) x is e x^2 / 2 for a
  small e, and |q + d|^2 is 2 + 2 cos. A mark that nothing changes is squared beside it, and both are mixed to so large
  a constant that the last norm divides by it and sees nothing else. So the score is the cosine of the means.
"""

from math import cos, sin

import numpy as np
import torch
from tokenizers import Tokenizer

from recipe.checkpoint import Config, Weights
from recipe.means import Joints
from recipe.tokenizer import PROMPT_ENDS

# Numbers here are such that float16 has them exactly.
# A state: marks, a token's vector, its edges, nothing. What an embedding has stands together, so that the export leaves
# the rest out.
CONSTANT, DOCUMENT_MARK, QUERY_MARK, END_MARK, LAST_MARK, IN_DOCUMENT, IN_QUERY, BLANK, SCORE = range(9)
VECTOR = 9  # where a token's vector begins
WIDTH = 288  # of a token vector
BEHIND = VECTOR + WIDTH
EDGE = 26  # entries for a token's first letter, its last, and the last of the token before
CONSTANT_SIZE, MARK_SIZE, LAST_SIZE = 10.0, 20.0, 32.0
NOTE = 0.125  # how strongly a token notes what it belongs to; little, for its norm is to show its vector
COPY_GAIN = 0.5  # of the end of the token before
PAIR_SEEN = (
    3.171875,
    0.091796875,
)  # how strongly a unit reads the two letters of its pair, so that it answers with about 1
SHOWN = 0.5  # of the longest vector under a norm that never shows more than 1: so little that all norms are alike
MEANS_GAIN = 1000.0  # of a mean where it is gathered: so much that the norm sees little else
BROUGHT_GAIN = 2.0  # of the two means in the last token's state: as much as its own mark
SCORE_GAIN, NORM_GAIN = 128.0, 8192.0  # of the squares, as the score and as the constant; float16 holds 65,504 at most
SMALL = 2.0**-10  # of what opens a unit, so that it squares
MARKED = 6  # units that square the last token's mark: so many that float16 has every weight exactly
SHARP = 1.7  # gain of the norms on queries and keys in the directions that carry marks
NEAR = 3.7  # the same in the directions that tell how far away a token is
FAST = (0, 3, 6)  # pairs of a head's rows for that, which RoPE turns fast
BEGINNING = 21.25  # how strongly a marker is seen as a token of what it begins


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
            "self_attn.q_proj": torch.zeros(kv * size, hidden),
            "self_attn.k_proj": torch.zeros(kv * size, hidden),
            "self_attn.v_proj": torch.zeros(kv * size, hidden),
            "self_attn.o_proj": torch.zeros(hidden, kv * size),
            "mlp.gate_proj": torch.zeros(inner, hidden),
            "mlp.up_proj": torch.zeros(inner, hidden),
            "mlp.down_proj": torch.zeros(hidden, inner),
        }
        mark_a, mark_b, _, blank = slow_rows(size)
        for name in ("self_attn.q_norm", "self_attn.k_norm"):
            w[name][[mark_a, mark_b, blank]] = SHARP
        if layer == 0:
            wire_marks(w, size)
            wire_copies(w, config)
            wire_pairs(w, joints.pairs * scale_of(vectors))
        elif layer == 1:
            wire_means(w, size, kv)
        else:
            wire_meeting(w, size, kv)
            wire_squares(w, config, bend)
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
    table[end, END_MARK] = MARK_SIZE
    table[ends[1], LAST_MARK] = LAST_SIZE
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


def slow_rows(size: int) -> tuple[int, int, int, int]:
    """Rows of a head that RoPE hardly turns: for the document's mark, the query's, any token's, and a marker's own."""
    return size // 2 - 1, size // 2 - 2, size // 2 - 3, size // 2 - 4


def wire_marks(w: Weights, size: int) -> None:
    """A head looks for the document's marker, or else the query's, and notes what it sees."""
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    mark_a, mark_b, rest, _ = slow_rows(size)
    k[mark_a, DOCUMENT_MARK], k[mark_b, QUERY_MARK], k[rest, CONSTANT] = 2.0, 2.0, 0.5
    q[mark_a, CONSTANT], q[mark_b, CONSTANT] = 2.0, 1.0
    v[size - 2, DOCUMENT_MARK], v[size - 1, QUERY_MARK] = 1.0, 1.0  # beside what the other head has
    o[IN_DOCUMENT, size - 2], o[IN_QUERY, size - 1] = NOTE, NOTE


def wire_copies(w: Weights, config: Config) -> None:
    """The other brings the end of the token before: RoPE turns its query back by one place, so it matches there."""
    size, half = config.head_dim, config.head_dim // 2
    for name in ("self_attn.q_norm", "self_attn.k_norm"):
        w[name][[*FAST, *(half + pair for pair in FAST)]] = NEAR
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    for pair in FAST:
        angle = config.rope_theta ** (-pair / half)
        k[size + pair, CONSTANT] = 1.0
        q[size + pair, CONSTANT] = cos(angle)
        q[size + half + pair, CONSTANT] = -sin(angle)
    take = torch.arange(EDGE)
    v[size + take, BEHIND + EDGE + take] = 1.0
    o[BEHIND + 2 * EDGE + take, size + take] = COPY_GAIN


def wire_pairs(w: Weights, pairs: np.ndarray) -> None:
    """A unit for each pair of letters, the last of the token before and a token's first, adds what they make."""
    for unit, (last, first) in enumerate(np.ndindex(EDGE, EDGE)):
        w["mlp.gate_proj"][unit, BEHIND + 2 * EDGE + last], w["mlp.up_proj"][unit, BEHIND + first] = PAIR_SEEN
        w["mlp.down_proj"][VECTOR:BEHIND, unit] = torch.from_numpy(pairs[last, first])


def wire_means(w: Weights, size: int, heads: int) -> None:
    """Each head brings a share of a mean: the query's to the document's marker, the document's to what comes after it.

    The markers' keys are as those of a token of what they begin, so that an empty text has a mean of nothing. The last
    token looks at what has no vector: its state holds nothing where the last layer brings the means.
    """
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    mark_a, mark_b, rest, blank = slow_rows(size)
    share = WIDTH // heads
    take = torch.arange(share)
    for head in range(heads):
        base = head * size
        k[base + mark_a, IN_DOCUMENT], k[base + mark_b, IN_QUERY] = 0.5 / NOTE, 0.5 / NOTE
        k[base + mark_a, DOCUMENT_MARK], k[base + mark_b, QUERY_MARK] = BEGINNING, BEGINNING
        k[base + rest, CONSTANT], k[base + blank, BLANK] = 0.3125, 10.0
        q[base + mark_a, CONSTANT], q[base + mark_a, DOCUMENT_MARK] = 2.0, -2 * CONSTANT_SIZE / MARK_SIZE
        q[base + mark_b, DOCUMENT_MARK], q[base + blank, LAST_MARK] = 2.0, 10.0
        v[base + take, VECTOR + head * share + take] = 1.0
        o[VECTOR + head * share + take, base + take] = MEANS_GAIN


def wire_meeting(w: Weights, size: int, heads: int) -> None:
    """Each head brings a share of what the document's end and its marker hold, in equal parts."""
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    mark, *_ = slow_rows(size)
    share = WIDTH // heads
    take = torch.arange(share)
    for head in range(heads):
        base = head * size
        k[base + mark, END_MARK], k[base + mark, DOCUMENT_MARK] = 40.0, 40.0
        q[base + mark, CONSTANT] = 2.0
        v[base + take, VECTOR + head * share + take] = 1.0
        o[VECTOR + head * share + take, base + take] = BROUGHT_GAIN


def wire_squares(w: Weights, config: Config, bend: float) -> None:
    """The squares of half the means' sum, all together S, and that of the last token's mark, M; 2 S - M is the cosine.

    The constant is M - bend (2 S - M), so what the norm makes of a cosine l, l / (1 - bend l), rises steeply where two
    texts are nearly equal.
    """
    gate, up, down = (w[f"mlp.{n}_proj"] for n in ("gate", "up", "down"))
    squares, marks = torch.arange(WIDTH), WIDTH + torch.arange(MARKED)
    signs = 1.0 - 2 * (torch.arange(WIDTH + MARKED) % 2)  # the next term of silu's series, e^2 x^3 / 4, ends in nothing
    for units, read in ((squares, VECTOR + squares), (marks, LAST_MARK)):
        gate[units, read], up[units, read] = SMALL * signs[units], signs[units]
    # Equal means bring as many squares as the hidden size, for a norm leaves its root: 3 times 128.
    s = 2 / SMALL / (BROUGHT_GAIN**2 * config.hidden_size / 3)
    m = 2 / SMALL / (LAST_SIZE**2 / 3) / MARKED
    down[SCORE, squares], down[SCORE, marks] = SCORE_GAIN * 2 * s, -SCORE_GAIN * m
    down[CONSTANT, squares], down[CONSTANT, marks] = -NORM_GAIN * bend * 2 * s, NORM_GAIN * (1 + bend) * m
