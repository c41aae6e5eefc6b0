"""Where training starts: weights in which the network already is the static model, and words find each other.

A small network finds "attend to the same word in the query" only after long training. Here it is written in:

- the first layer tells every token whether it belongs to the query or the document (it looks for the two markers);
- the middle layers have heads whose queries and keys are the same projection of the token vectors, so that a
  document's token attends to its like in the query;
- the last layer lets the last token take the mean of the document's and of the query's vectors, and its MLP multiplies
  the two: silu(g) u + silu(-g)(-u) = g u is an exact product, and their sum is the score.
"""

import numpy as np
import torch
from tokenizers import Tokenizer

from recipe.network import Config, Weights
from recipe.tokenizer import PROMPT_ENDS

WIDTH = 112  # of a token vector
CONSTANT, DOCUMENT_MARK, QUERY_MARK, IN_DOCUMENT, IN_QUERY, SCORE = 224, 225, 226, 227, 228, 229
CONSTANT_SIZE, MARK_SIZE = 10.0, 20.0
QUERY_BLANKS, DOCUMENT_BLANKS = 3, 4  # tokens of the prompt that are pooled with the query's and the document's words
SHARP = 1.7  # gain of the norms on queries and keys in the directions that carry marks
MARK_A, MARK_B, REST = 15, 14, 13  # rows of a head that RoPE turns slowest


def start_weights(config: Config, vectors: np.ndarray, tokenizer: Tokenizer, seed: int = 0) -> Weights:
    """All weights of the network, named as in transformers; `vectors` has shape (vocabulary, WIDTH)."""
    make = torch.Generator().manual_seed(seed)
    hidden, size, kv = config.hidden_size, config.head_dim, config.num_key_value_heads
    inner, layers = config.intermediate_size, config.num_hidden_layers

    def noise(rows: int, columns: int, scale: float) -> torch.Tensor:
        return torch.randn(rows, columns, generator=make) * scale

    weights = {
        "model.norm.weight": torch.ones(hidden),
        "model.embed_tokens.weight": embeddings(config, vectors, tokenizer),
    }
    weights["model.embed_tokens.weight"] += noise(config.vocab_size, hidden, 0.02)
    for layer in range(layers):
        w = {
            "input_layernorm": torch.ones(hidden),
            "post_attention_layernorm": torch.ones(hidden),
            "self_attn.q_norm": torch.ones(size),
            "self_attn.k_norm": torch.ones(size),
            "self_attn.q_proj": noise(2 * kv * size, hidden, 0.02),
            "self_attn.k_proj": noise(kv * size, hidden, 0.02),
            "self_attn.v_proj": noise(kv * size, hidden, 0.01),
            "self_attn.o_proj": noise(hidden, 2 * kv * size, 0.003),
            "mlp.gate_proj": noise(inner, hidden, 0.03),
            "mlp.up_proj": noise(inner, hidden, 0.03),
            "mlp.down_proj": noise(hidden, inner, 0.003),
        }
        if layer == 0:
            wire_marks(w, size)
        elif layer == layers - 1:
            wire_pooling(w, size, kv)
            wire_product(w)
        else:
            wire_matching(w, size, kv, make)
        weights.update({f"model.layers.{layer}.{name}.weight": tensor for name, tensor in w.items()})
    return weights


def embeddings(config: Config, vectors: np.ndarray, tokenizer: Tokenizer) -> torch.Tensor:
    """Token vectors, the constant, the marks, and the two answers' rows along SCORE."""
    table = torch.zeros(config.vocab_size, config.hidden_size)
    table[:, :WIDTH] = torch.from_numpy(vectors)
    table[:, CONSTANT] = CONSTANT_SIZE
    ids = {text: tokenizer.encode(text).ids[0] for text in ("<document", "<query", *PROMPT_ENDS)}
    for token in (*ids.values(), *tokenizer.encode("<|im_end|>").ids, *tokenizer.encode("<query>:").ids[1:]):
        table[token, :WIDTH] = 0
    table[ids["<document"], DOCUMENT_MARK] = MARK_SIZE
    table[ids["<query"], QUERY_MARK] = MARK_SIZE
    table[ids[PROMPT_ENDS[1]], CONSTANT] = 1.0
    yes, no = tokenizer.token_to_id("yes"), tokenizer.token_to_id("no")
    table[[yes, no]] = 0
    table[yes, SCORE], table[no, SCORE] = 1.0, -1.0
    return table


def sharpen(w: Weights) -> None:
    """Make the marks count in the attention of a layer."""
    for name in ("self_attn.q_norm", "self_attn.k_norm"):
        w[name][[MARK_A, MARK_B]] = SHARP


def wire_marks(w: Weights, size: int) -> None:
    """Heads 0 and 1 look for the document's and the query's marker and note what they see."""
    sharpen(w)
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    v[:2], o[:, [0, 1, size, size + 1]] = 0, 0
    k[MARK_A, DOCUMENT_MARK], k[MARK_B, QUERY_MARK], k[REST, CONSTANT] = 2.0, 2.0, 0.5
    q[MARK_A, CONSTANT], q[size + MARK_B, CONSTANT] = 2.0, 2.0
    v[0, DOCUMENT_MARK], v[1, QUERY_MARK] = 1.0, 1.0
    o[IN_DOCUMENT, 0], o[IN_QUERY, size + 1] = 0.5, 0.5


def wire_matching(w: Weights, size: int, kv: int, make: torch.Generator) -> None:
    """Half of the heads: queries and keys are one projection of the token vectors; keys in the document are shunned."""
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    w["self_attn.q_norm"][:], w["self_attn.k_norm"][:] = 1.4, 1.4
    for head in range(kv):
        rows = slice(head * size, (head + 1) * size)
        basis = torch.linalg.qr(torch.randn(WIDTH, size, generator=make))[0].t()
        k[rows, :WIDTH] = basis
        q[2 * head * size : (2 * head + 1) * size, :WIDTH] = basis
        k[head * size + MARK_A, IN_DOCUMENT], k[head * size + MARK_A, :WIDTH] = -0.6, 0
        q[2 * head * size + MARK_A, CONSTANT], q[2 * head * size + MARK_A, :WIDTH] = 0.4, 0
        v[rows, :WIDTH] = torch.linalg.qr(torch.randn(WIDTH, size, generator=make))[0].t()
        o[WIDTH : 2 * WIDTH, 2 * head * size : (2 * head + 1) * size] = (
            0.3 * torch.linalg.qr(torch.randn(WIDTH, size, generator=make))[0]
        )


def wire_pooling(w: Weights, size: int, kv: int) -> None:
    """Each pair of heads brings a share of the vectors: the first the document's mean, the second the query's."""
    sharpen(w)
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    share = WIDTH // kv
    q.mul_(0.2), k.mul_(0.2), v.mul_(0.2)
    v[:, WIDTH:] = 0
    for head in range(kv):
        base = head * size
        k[base + MARK_A, IN_DOCUMENT], k[base + MARK_B, IN_QUERY], k[base + REST, CONSTANT] = 1.0, 1.0, 0.3
        q[2 * base + MARK_A, CONSTANT] = 2.0
        q[2 * base + size + MARK_A, CONSTANT], q[2 * base + size + MARK_B, CONSTANT] = -2.0, 2.0
        take = torch.arange(share)
        v[base + take, head * share + take] = 1.0
        o[head * share + take, 2 * base + take] = 3.0
        o[WIDTH + head * share + take, 2 * base + size + take] = 3.0


def wire_product(w: Weights, gain: float = 2.0) -> None:
    """The sum over the vectors' entries of document times query, as the score."""
    gate, up, down = (w[f"mlp.{n}_proj"] for n in ("gate", "up", "down"))
    take = torch.arange(WIDTH)
    for first, sign in ((0, 1.0), (WIDTH, -1.0)):
        gate[first + take, take] = sign
        up[first + take, WIDTH + take] = sign
        down[SCORE, first + take] = gain / 16
