"""The network: a Qwen3 whose attention and one product compare token vectors that were trained beforehand.

- The first layer tells every token whether it belongs to the query or the document (it looks for the two markers).
- The last layer lets the last token take the mean of the document's and of the query's vectors, and its MLP multiplies
  the two: silu(g) u + silu(-g)(-u) = g u is an exact product, and their sum is the score.
"""

import numpy as np
import torch
from tokenizers import Tokenizer

from recipe.checkpoint import Config, Weights
from recipe.tokenizer import PROMPT_ENDS

WIDTH = 216  # of a token vector; a state holds the document's mean, the query's, and what follows
CONSTANT, DOCUMENT_MARK, QUERY_MARK, IN_DOCUMENT, IN_QUERY, SCORE = range(2 * WIDTH, 2 * WIDTH + 6)
CONSTANT_SIZE, MARK_SIZE = 10.0, 20.0
CLOSING_SIZE = 13.4  # the last token's constant: what a product of short means is divided by
MEANS_GAIN = 3.0  # of the means in the last token's state
PRODUCT_GAIN = 0.0125  # of the score there: so little that the last norm does not see it
NOTE = 0.1  # how strongly a token notes what it belongs to; little, for its norm is to show its vector
QUERY_BLANKS, DOCUMENT_BLANKS = 3, 4  # tokens of the prompt that are pooled with the query's and the document's words
SHARP = 1.7  # gain of the norms on queries and keys in the directions that carry marks
MARK_A, MARK_B, REST = 15, 14, 13  # rows of a head that RoPE turns slowest


def wired_weights(config: Config, vectors: np.ndarray, tokenizer: Tokenizer) -> Weights:
    """All weights of the network, named as in transformers; `vectors` has shape (vocabulary, WIDTH)."""
    hidden, size, kv = config.hidden_size, config.head_dim, config.num_key_value_heads
    inner, layers = config.intermediate_size, config.num_hidden_layers
    weights = {
        "model.norm.weight": torch.ones(hidden),
        "model.embed_tokens.weight": embeddings(config, vectors, tokenizer),
    }
    for layer in range(layers):
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
        if layer == 0:
            wire_marks(w, size)
        elif layer == layers - 1:
            wire_pooling(w, size, kv)
            wire_product(w)
        weights.update({f"model.layers.{layer}.{name}.weight": tensor for name, tensor in w.items()})
    return weights


def embeddings(config: Config, vectors: np.ndarray, tokenizer: Tokenizer) -> torch.Tensor:
    """Token vectors, the constant, the marks, and the two answers' rows along SCORE."""
    table = torch.zeros(config.vocab_size, config.hidden_size)
    table[:, :WIDTH] = torch.from_numpy(vectors)
    table[:, CONSTANT] = CONSTANT_SIZE
    ids = {text: tokenizer.encode(text).ids[0] for text in ("<document", "<query", *PROMPT_ENDS)}
    around = [i for text in ("<|im_end|>", "<query>:", "\n") for i in tokenizer.encode(text).ids]
    for token in (*ids.values(), *around):
        table[token, :WIDTH] = 0
    table[ids["<document"], DOCUMENT_MARK] = MARK_SIZE
    table[ids["<query"], QUERY_MARK] = MARK_SIZE
    table[ids[PROMPT_ENDS[1]], CONSTANT] = CLOSING_SIZE
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
    k[MARK_A, DOCUMENT_MARK], k[MARK_B, QUERY_MARK], k[REST, CONSTANT] = 2.0, 2.0, 0.5
    q[MARK_A, CONSTANT], q[size + MARK_B, CONSTANT] = 2.0, 2.0
    v[0, DOCUMENT_MARK], v[1, QUERY_MARK] = 1.0, 1.0
    o[IN_DOCUMENT, 0], o[IN_QUERY, size + 1] = NOTE, NOTE


def wire_pooling(w: Weights, size: int, kv: int) -> None:
    """Each pair of heads brings a share of the vectors: the first the document's mean, the second the query's."""
    sharpen(w)
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    share = WIDTH // kv
    for head in range(kv):
        base = head * size
        k[base + MARK_A, IN_DOCUMENT], k[base + MARK_B, IN_QUERY] = 0.5 / NOTE, 0.5 / NOTE
        k[base + REST, CONSTANT] = 0.3
        q[2 * base + MARK_A, CONSTANT] = 2.0
        q[2 * base + size + MARK_A, CONSTANT], q[2 * base + size + MARK_B, CONSTANT] = -2.0, 2.0
        take = torch.arange(share)
        v[base + take, head * share + take] = 1.0
        o[head * share + take, 2 * base + take] = MEANS_GAIN
        o[WIDTH + head * share + take, 2 * base + size + take] = MEANS_GAIN


def wire_product(w: Weights) -> None:
    """The sum over the entries of document times query, as the score."""
    gate, up, down = (w[f"mlp.{n}_proj"] for n in ("gate", "up", "down"))
    take = torch.arange(WIDTH)
    for first, sign in ((0, 1.0), (WIDTH, -1.0)):
        gate[first + take, take] = sign
        up[first + take, WIDTH + take] = sign
        down[SCORE, first + take] = PRODUCT_GAIN
