"""The network: a Qwen3 whose attention and products compare token vectors that were trained beforehand.

- The first layer tells every token whether it belongs to the query or the document (two heads look for the markers),
  and its MLP adds the pair of letters that a token makes with the one before it (another head brings that one's end).
- Three layers find what either text has and the other lacks (`leftover.py`).
- The last layer lets the last token take the mean of the document's and of the query's vectors, and its MLP squares
  their sums and differences (`squares.py`): (d + q)^2 - (d - q)^2 = 4 d q. A mixture of the squares becomes so
  large a constant that the last norm divides by it and sees nothing else. One unit more counts what is left over.
"""

import numpy as np
import torch
from tokenizers import Tokenizer

from recipe.attention import COPY_GAIN, wire_copies, wire_marks, wire_texts
from recipe.checkpoint import Config, Weights
from recipe.leftover import (
    ALIKE_SIZE,
    LEFT_SIZE,
    WEIGHT_NOTE,
    Basis,
    largest_components,
    wire_alike,
    wire_both,
    wire_looks,
    wire_picks,
    wire_sides,
    wire_sketches,
)
from recipe.means import Joints, Tokens
from recipe.squares import SMALL, wire_sums
from recipe.state import (
    ALIKE,
    BEFORE,
    BLANK,
    CONSTANT,
    CONSTANT_SIZE,
    COUNTED,
    DOCUMENT_MARK,
    DOCUMENT_MEAN,
    EDGE,
    EMPHASIS,
    EMPHASIS_NOTE,
    FIRST,
    LAST,
    LEFT,
    MARK_SIZE,
    QUERY_MARK,
    QUERY_MEAN,
    SCORE,
    VECTOR,
    WEIGHT,
    WIDTH,
)
from recipe.tokenizer import PROMPT_ENDS

MEANS_GAIN = 60.0  # of the means in the last token's state: so much that its norm sees little else
SCORE_GAIN, NORM_GAIN = 0.25, 10.0  # of the squares, as the score and as the constant; float16 holds 65,504 at most
OPEN, PAIR = 6.0, 1.1  # what opens the unit of a pair of letters; how much it adds, a little of which norms take
COUNTS = 40.0  # how sharply what is left over begins to count
SHOWN = 0.5  # of the longest vector under a norm that never shows more than 1: so little that all norms are alike


def wired_weights(config: Config, tokens: Tokens, joints: Joints, tokenizer: Tokenizer, bend: float) -> Weights:
    """All weights of the network, named as in transformers."""
    basis = largest_components(tokens.vectors.numpy())
    entries = with_weights(tokens, basis)
    weights = {
        "model.norm.weight": torch.ones(config.hidden_size),
        "model.embed_tokens.weight": embeddings(config, entries, tokens.emphasis, joints, tokenizer),
    }
    layers = [empty_layer(config) for _ in range(config.num_hidden_layers)]
    size, kv, scale = config.head_dim, config.num_key_value_heads, scale_of(entries)
    shown = basis.usual * scale / CONSTANT_SIZE * config.hidden_size**0.5
    wire_marks(layers[0], size)
    wire_copies(layers[0], config)
    wire_pairs(layers[0], joints.pairs * scale)
    wire_sketches(layers[1], size, basis, shown)
    wire_sides(layers[1], shown)
    wire_picks(layers[2], size, basis, shown)
    wire_looks(layers[3], size, basis, shown)
    wire_both(layers[3])
    wire_alike(layers[3])
    wire_means(layers[4], size, kv)
    wire_squares(layers[4], bend)
    wire_counted(layers[4], shown)
    for number, layer in enumerate(layers):
        weights.update({f"model.layers.{number}.{name}.weight": tensor for name, tensor in layer.items()})
    return weights


def empty_layer(config: Config) -> Weights:
    """A layer that changes nothing."""
    hidden, size, kv = config.hidden_size, config.head_dim, config.num_key_value_heads
    heads, inner = config.num_attention_heads, config.intermediate_size
    return {
        "input_layernorm": torch.ones(hidden),
        "post_attention_layernorm": torch.ones(hidden),
        "self_attn.q_norm": torch.ones(size),
        "self_attn.k_norm": torch.ones(size),
        "self_attn.q_proj": torch.zeros(heads * size, hidden),
        "self_attn.k_proj": torch.zeros(kv * size, hidden),
        "self_attn.v_proj": torch.zeros(kv * size, hidden),
        "self_attn.o_proj": torch.zeros(hidden, heads * size),
        "mlp.gate_proj": torch.zeros(inner, hidden),
        "mlp.up_proj": torch.zeros(inner, hidden),
        "mlp.down_proj": torch.zeros(hidden, inner),
    }


def with_weights(tokens: Tokens, basis: Basis) -> np.ndarray:
    """What an embedding has of a token: its vector, and before it a share of what its sketch counts for."""
    vectors = tokens.vectors.numpy()
    weights = basis.lengths(vectors) * np.exp(tokens.emphasis.numpy())
    return np.concatenate([WEIGHT_NOTE * weights[:, None], vectors], 1).astype(np.float32)


def embeddings(
    config: Config, entries: np.ndarray, emphasis: torch.Tensor, joints: Joints, tokenizer: Tokenizer
) -> torch.Tensor:
    """What is known of a token, the constant, the marks, what no mean counts, and the answers' rows along SCORE."""
    table = torch.zeros(config.vocab_size, config.hidden_size)
    places = [WEIGHT, *range(VECTOR, VECTOR + WIDTH)]
    table[:, places] = torch.from_numpy(before_norm(entries)).bfloat16().float()  # the zeros behind pack well
    table[:, EMPHASIS] = (EMPHASIS_NOTE * emphasis).bfloat16().float()
    for place, letters in ((FIRST, joints.first), (LAST, joints.last)):
        have = torch.from_numpy(np.flatnonzero(letters >= 0))
        table[have, place + torch.from_numpy(letters)[have]] = 1.0
    table[:, CONSTANT] = CONSTANT_SIZE
    tokenizer.encode_special_tokens = False
    document, query, end, *ends = (
        tokenizer.encode(text).ids[0] for text in ("<document>:", "<query>:", "<|im_end|>", *PROMPT_ENDS)
    )
    around = [document, query, end, *ends]
    table[around] = 0
    table[around, CONSTANT] = CONSTANT_SIZE
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


def wire_pairs(w: Weights, pairs: np.ndarray) -> None:
    """A unit for each pair of letters, the last of the token before and a token's first, adds what they make."""
    seen = w["mlp.up_proj"].shape[1] ** 0.5 / CONSTANT_SIZE  # a letter, as a norm shows it
    answer = PAIR / (OPEN * COPY_GAIN * seen * seen * seen)
    for unit, (last, first) in enumerate(np.ndindex(EDGE, EDGE)):
        w["mlp.gate_proj"][unit, BEFORE + last] = OPEN
        w["mlp.up_proj"][unit, FIRST + first] = answer
        w["mlp.down_proj"][VECTOR : VECTOR + WIDTH, unit] = torch.from_numpy(pairs[last, first])


def wire_means(w: Weights, size: int, kv: int) -> None:
    """Each pair of heads brings a share of the vectors: the first the document's mean, the second the query's.

    The last token's own state still holds nothing where the means go.
    """
    v, o = w["self_attn.v_proj"], w["self_attn.o_proj"]
    share = WIDTH // kv
    take = torch.arange(share)
    for head in range(kv):
        wire_texts(w, size, head)
        base = head * size
        v[base + take, VECTOR + head * share + take] = 1.0
        o[DOCUMENT_MEAN + head * share + take, 2 * base + take] = MEANS_GAIN
        o[QUERY_MEAN + head * share + take, 2 * base + size + take] = MEANS_GAIN


def wire_squares(w: Weights, bend: float) -> None:
    """Squares of the means' sum and difference, entry by entry: S and D, summed up.

    (S - D) / (S + D) is how alike the means are, from -1 to 1. The constant is S + D - bend (S - D), so what the norm
    makes of it, l / (1 - bend l), rises steeply where two texts are nearly equal.
    """
    down = w["mlp.down_proj"]
    for sign, unit in wire_sums(w, 0, DOCUMENT_MEAN, QUERY_MEAN, WIDTH):
        down[SCORE, unit] = sign * SCORE_GAIN * 2 / SMALL
        down[CONSTANT, unit] = (1 - sign * bend) * NORM_GAIN * 2 / SMALL


def wire_counted(w: Weights, shown: float) -> None:
    """A unit counts what is left over as far as the sketches are alike: the product of both.

    The norm divides both by the means' lengths, and that is what the sketches' likeness is still to be divided by.
    """
    gate, up, down = (w[f"mlp.{n}_proj"] for n in ("gate", "up", "down"))
    hidden, unit = gate.shape[1], 2 * WIDTH
    seen = hidden**0.5 / (MEANS_GAIN * shown)  # of what is as large as a usual token's sketch
    gate[unit, ALIKE] = COUNTS / (ALIKE_SIZE * seen)
    up[unit, LEFT] = 1.0
    down[COUNTED, unit] = 2 * hidden * SCORE_GAIN / (COUNTS * LEFT_SIZE * seen)
