"""The network: a Qwen3 whose attention and products compare means of token vectors that were trained beforehand.

- The first layer tells every token whether it belongs to the query or the document (two heads look for the markers),
  and its MLP adds to a token what it and the token before it make together (other heads bring that one's end).
- The last layer lets the last token take the mean of the document's and of the query's vectors, and its MLP squares
  their sums and differences: silu(x) x + silu(-x)(-x) = x^2 exactly, and (d + q)^2 - (d - q)^2 = 4 d q. All squares
  together are the norm of both means; they become so large a constant that the last norm sees nothing else.
"""

from dataclasses import dataclass
from math import cos, sin

import numpy as np
import torch
from tokenizers import Tokenizer

from recipe.checkpoint import Config, Weights
from recipe.tokenizer import PROMPT_ENDS

WIDTH = 192  # of a token vector; a state holds the document's mean, the query's, and what follows
EDGE = 26  # entries for a token's first letter and as many for its last; they stand where the query's mean will
CONSTANT, DOCUMENT_MARK, QUERY_MARK, IN_DOCUMENT, IN_QUERY, SCORE = range(2 * WIDTH, 2 * WIDTH + 6)
CONSTANT_SIZE, MARK_SIZE = 10.0, 20.0
COPY_GAIN = 0.5  # of the end of the token before
MEANS_GAIN = 30.0  # of the means in the last token's state: so much that its norm sees little else
SCORE_GAIN, NORM_GAIN = 0.25, 2.5  # of the squares, as the score and as the constant
NOTE = 0.1  # how strongly a token notes what it belongs to; little, for its norm is to show its vector
QUERY_BLANKS, DOCUMENT_BLANKS = 3, 4  # tokens of the prompt that are pooled with the query's and the document's words
SHARP = 1.7  # gain of the norms on queries and keys in the directions that carry marks
NEAR = 3.7  # the same in the directions that tell how far away a token is
FAST = 3  # pairs of a head's rows that RoPE turns fastest
COPIES = 1  # the first key-value head that brings the token before


@dataclass
class Learned:
    """What is trained: vectors, and what is added to them where two tokens meet."""

    vectors: np.ndarray  # (vocabulary, WIDTH)
    edges: np.ndarray  # (vocabulary, 2 * EDGE) the letters that a token begins and ends with
    left: np.ndarray  # (units, EDGE) reads the end of the token before
    right: np.ndarray  # (units, EDGE) reads a token's own beginning
    out: np.ndarray  # (WIDTH, units)


def wired_weights(config: Config, learned: Learned, tokenizer: Tokenizer) -> Weights:
    """All weights of the network, named as in transformers."""
    hidden, size, kv = config.hidden_size, config.head_dim, config.num_key_value_heads
    inner = config.intermediate_size
    weights = {
        "model.norm.weight": torch.ones(hidden),
        "model.embed_tokens.weight": embeddings(config, learned, tokenizer),
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
            wire_joints(w, learned)
        else:
            wire_pooling(w, size, kv)
            wire_squares(w)
        weights.update({f"model.layers.{layer}.{name}.weight": tensor for name, tensor in w.items()})
    return weights


def embeddings(config: Config, learned: Learned, tokenizer: Tokenizer) -> torch.Tensor:
    """Token vectors and edges, the constant, the marks, and the two answers' rows along SCORE."""
    table = torch.zeros(config.vocab_size, config.hidden_size)
    table[:, :WIDTH] = torch.from_numpy(learned.vectors)
    table[:, WIDTH : WIDTH + 2 * EDGE] = torch.from_numpy(learned.edges)
    table[:, CONSTANT] = CONSTANT_SIZE
    ids = {text: tokenizer.encode(text).ids[0] for text in ("<document", "<query", *PROMPT_ENDS)}
    around = [i for text in ("<|im_end|>", "<query>:", "\n") for i in tokenizer.encode(text).ids]
    for token in (*ids.values(), *around):
        table[token, : 2 * WIDTH] = 0
    table[ids["<document"], DOCUMENT_MARK] = MARK_SIZE
    table[ids["<query"], QUERY_MARK] = MARK_SIZE
    yes, no = tokenizer.token_to_id("yes"), tokenizer.token_to_id("no")
    table[[yes, no]] = 0
    table[yes, SCORE], table[no, SCORE] = 1.0, -1.0
    return table


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
    """Some heads bring the end of the token before: RoPE turns their query back by one place, so they match there."""
    size, half = config.head_dim, config.head_dim // 2
    for name in ("self_attn.q_norm", "self_attn.k_norm"):
        w[name][[*range(FAST), *range(half, half + FAST)]] = NEAR
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    for start in range(0, EDGE, size):
        head = COPIES + start // size
        for pair in range(FAST):
            angle = config.rope_theta ** (-pair / half)
            k[head * size + pair, CONSTANT] = 1.0
            q[2 * head * size + pair, CONSTANT] = cos(angle)
            q[2 * head * size + half + pair, CONSTANT] = -sin(angle)
        take = torch.arange(min(size, EDGE - start))
        v[head * size + take, WIDTH + EDGE + start + take] = 1.0
        o[WIDTH + 2 * EDGE + start + take, 2 * head * size + take] = COPY_GAIN


def wire_joints(w: Weights, learned: Learned) -> None:
    """What the end of the token before and a token's beginning make together is added to its vector."""
    units = len(learned.left)
    w["mlp.gate_proj"][:units, WIDTH + 2 * EDGE : WIDTH + 3 * EDGE] = torch.from_numpy(learned.left)
    w["mlp.up_proj"][:units, WIDTH : WIDTH + EDGE] = torch.from_numpy(learned.right)
    w["mlp.down_proj"][:WIDTH, :units] = torch.from_numpy(learned.out)


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
        k[base + rest, CONSTANT] = 0.3
        q[2 * base + mark_a, CONSTANT] = 2.0
        q[2 * base + size + mark_a, CONSTANT], q[2 * base + size + mark_b, CONSTANT] = -2.0, 2.0
        take = torch.arange(share)
        v[base + take, head * share + take] = 1.0
        o[head * share + take, 2 * base + take] = MEANS_GAIN
        o[WIDTH + head * share + take, 2 * base + size + take] = MEANS_GAIN


def wire_squares(w: Weights) -> None:
    """Squares of the means' sum and difference, entry by entry: what parts them is the score, all together the norm."""
    gate, up, down = (w[f"mlp.{n}_proj"] for n in ("gate", "up", "down"))
    take = torch.arange(WIDTH)
    for first, of_query, sign in ((0, 1, 1), (1, 1, -1), (2, -1, 1), (3, -1, -1)):
        unit = first * WIDTH + take
        for proj in (gate, up):
            proj[unit, take] = sign
            proj[unit, WIDTH + take] = sign * of_query
        down[SCORE, unit] = SCORE_GAIN * of_query
        down[CONSTANT, unit] = NORM_GAIN
