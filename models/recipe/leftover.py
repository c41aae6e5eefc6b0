"""What either text has and the other lacks: the middle layers of the network.

Means forget a single word among many that has no partner, and it often makes another thing of a term. So the last
token picks, of each text, the token least like the other text's mean, one of more weight first, and looks how near the
nearest token of the other text comes to it. A token's weight is its vector's length times what it counts in a mean.
All this is done on sketches: the largest components of the vectors.

- One layer brings the last token the sketch of each text's mean.
- The next picks a token of each text: attention that prefers weight and dislikes the other text's mean.
- The third lets each of the two look at the other text's tokens, and at the document's marker, which attracts it as a
  token does that is NEARLY as near: how much of the attention it gets says that nothing is near. Tokens of little
  weight, those of words that tell little, it attracts less. The MLP takes the larger of both and a share of the other.
- What is left over of texts that have nothing in common tells nothing. So that MLP also finds how alike the sketches
  are, and a unit of the last layer multiplies both (`wired.py`).
"""

from dataclasses import dataclass

import numpy as np
import torch

from recipe.attention import set_sharpness, sketch_rows, slow_rows, wire_texts
from recipe.checkpoint import Weights
from recipe.squares import SMALL, wire_sums
from recipe.state import (
    ALIKE,
    BLANK,
    BROUGHT,
    CONSTANT,
    CONSTANT_SIZE,
    DOCUMENT_LEFT,
    DOCUMENT_MARK,
    DOCUMENT_WEIGHT,
    IN_DOCUMENT,
    IN_QUERY,
    LAST_SIZE,
    LEFT,
    MARK_SIZE,
    MARKER_SIZE,
    NOTE,
    PICKED,
    QUERY_LEFT,
    QUERY_WEIGHT,
    SKETCH,
    SKETCHES,
    VECTOR,
    WEIGHT,
    WIDTH,
)

HEAVIER = 0.65  # how much a token's weight counts where one is picked, in lengths of a mean
SURELY = 1600.0  # how sharply one is picked; at 2000 a tie made a score in WebAssembly 1.4e-5 from Python's
SIDE, OUR_SIDE = 10.0, 0.4  # how strongly a key says which text it is of, and a query which it wants
NEARLY, STEEP = 0.35, 10.0  # the cosine that is neither near nor far, and how sharply
LIGHTER = 0.12  # how much less near is near enough for less weight than usual: this times (usual / its weight - 1)
OTHER_SIDE = 1.6  # how strongly the other text's tokens are preferred, on either side of the product
WEIGHT_NOTE = 0.25  # of a token's weight, beside its vector
SIDE_NOTE = 0.3  # of the weight of a usual token that belongs to one text
OPEN = 60.0  # what opens the units that note to which text a weight belongs
SMALLER = 0.3  # how much of the smaller of both counts
BOTH_UNITS = 3  # take the larger and a share of the other
SHARP_MAXIMUM, SHUT = 400.0, 6.0  # how sharply the larger one is taken; what shuts the unit in other tokens
LEFT_SIZE = 20.0  # of what is left over, in the last token's state
ALIKE_SIZE = 0.02  # of how alike the sketches are; other tokens get some of it too, and their norms must not notice
HARDLY = 0.2  # how alike sketches are where what is left over begins to count


@dataclass
class Basis:
    """The largest components of the token vectors."""

    rows: torch.Tensor  # (SKETCH, WIDTH), orthonormal
    usual: float  # length of a usual token's sketch

    def lengths(self, vectors: np.ndarray) -> np.ndarray:
        """Of the sketches of vectors (N, WIDTH), shape (N,)."""
        return np.linalg.norm(vectors @ self.rows.numpy().T, axis=1)


def largest_components(vectors: np.ndarray) -> Basis:
    """Of token vectors (vocabulary, WIDTH)."""
    _, directions = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    rows = torch.from_numpy(directions[:, ::-1][:, :SKETCH].T.astype(np.float32).copy())
    lengths = Basis(rows, 1.0).lengths(vectors)
    return Basis(rows, float(np.median(lengths[lengths > 0])))


def wire_sketches(w: Weights, size: int, basis: Basis, shown: float) -> None:
    """Two heads bring the last token the sketches of both means, in lengths of a usual token."""
    wire_texts(w, size, 0)
    v, o = w["self_attn.v_proj"], w["self_attn.o_proj"]
    take = torch.arange(SKETCH)
    v[:SKETCH, VECTOR : VECTOR + WIDTH] = basis.rows / shown
    for head in (0, 1):
        o[SKETCHES + head * SKETCH + take, head * size + take] = BROUGHT


def wire_sides(w: Weights, shown: float) -> None:
    """Two units of an MLP note a token's weight as the document's or as the query's."""
    gate, up, down = (w[f"mlp.{n}_proj"] for n in ("gate", "up", "down"))
    note = NOTE / CONSTANT_SIZE * gate.shape[1] ** 0.5  # as a norm shows it
    gate[0, IN_DOCUMENT] = OPEN
    gate[1, IN_QUERY], gate[1, IN_DOCUMENT] = OPEN, -OPEN  # the query's marker is before both texts
    up[[0, 1], WEIGHT] = 1.0
    down[DOCUMENT_WEIGHT, 0] = down[QUERY_WEIGHT, 1] = SIDE_NOTE / (OPEN * note * shown * WEIGHT_NOTE)


def wire_picks(w: Weights, size: int, basis: Basis, shown: float) -> None:
    """Two heads bring the token of each text that has weight and is least like the other's mean, and its weight."""
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    hidden, rows = k.shape[1], sketch_rows(size)
    mark_a, mark_b, rest = slow_rows(size)
    note, last = NOTE / CONSTANT_SIZE * hidden**0.5, LAST_SIZE / hidden**0.5
    set_sharpness(w, slice(None), SURELY * 2**0.5 * SIDE)  # a key is about as long as two sides
    k[rows, VECTOR : VECTOR + WIDTH] = basis.rows / shown
    k[size - 1, WEIGHT] = 1 / (WEIGHT_NOTE * shown)
    k[mark_a, IN_DOCUMENT], k[mark_a, BLANK] = SIDE / note, -SIDE
    k[mark_b, IN_QUERY], k[mark_b, IN_DOCUMENT], k[mark_b, BLANK] = SIDE / note, -SIDE / note, -SIDE
    k[rest, CONSTANT] = SIDE / hidden**0.5
    take = torch.arange(SKETCH)
    for head, mark in ((0, mark_a), (1, mark_b)):
        other = SKETCHES + (1 - head) * SKETCH
        q[head * size + rows, other + take] = -last / BROUGHT
        q[head * size + size - 1, CONSTANT] = HEAVIER * last / CONSTANT_SIZE
        q[head * size + mark, CONSTANT] = OUR_SIDE * last / CONSTANT_SIZE
    v[:SKETCH, VECTOR : VECTOR + WIDTH] = basis.rows / shown
    v[SKETCH, WEIGHT] = 1 / (WEIGHT_NOTE * shown)
    take = torch.arange(SKETCH + 1)
    for head in (0, 1):
        o[PICKED + head * (SKETCH + 1) + take, head * size + take] = BROUGHT


def wire_looks(w: Weights, size: int, basis: Basis, shown: float) -> None:
    """Two heads tell how little of the other text is near the picked tokens: the share that the marker attracts."""
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    hidden, rows = k.shape[1], sketch_rows(size)
    mark_a, mark_b, rest = slow_rows(size)
    last, side = LAST_SIZE / hidden**0.5, SIDE_NOTE / CONSTANT_SIZE * hidden**0.5
    key = (1 + OTHER_SIDE**2) ** 0.5  # length of a token's key, in its own lengths
    marker = (NEARLY + LIGHTER + OTHER_SIDE**2) / key
    set_sharpness(w, slice(None), STEEP * key * (key**2 + marker**2) ** 0.5)
    k[rows, VECTOR : VECTOR + WIDTH] = basis.rows / shown
    k[mark_a, DOCUMENT_WEIGHT] = k[mark_b, QUERY_WEIGHT] = OTHER_SIDE / side
    k[rest, DOCUMENT_MARK] = 1.0
    take = torch.arange(SKETCH)
    for head, mark in ((0, mark_b), (1, mark_a)):
        picked = PICKED + head * (SKETCH + 1)
        q[head * size + rows, picked + take] = last / BROUGHT
        q[head * size + mark, picked + SKETCH] = OTHER_SIDE * last / BROUGHT
        q[head * size + rest, picked + SKETCH] = marker * last / BROUGHT
        q[head * size + rest, CONSTANT] = -LIGHTER / key * last / CONSTANT_SIZE
    v[0, DOCUMENT_MARK] = MARKER_SIZE / (MARK_SIZE * hidden**0.5)
    o[DOCUMENT_LEFT, 0] = o[QUERY_LEFT, size] = BROUGHT


def wire_both(w: Weights) -> None:
    """Three units of an MLP note the larger of both and a share a of the smaller: q + a d + (1 - a) relu(d - q).

    They do so in the last token, whose state is blank.
    """
    gate, up, down = (w[f"mlp.{n}_proj"] for n in ("gate", "up", "down"))
    last = gate.shape[1] ** 0.5 / LAST_SIZE
    gate[[0, 2], BLANK] = up[0, QUERY_LEFT] = up[2, DOCUMENT_LEFT] = 1.0
    down[LEFT, 0] = LEFT_SIZE / (MARK_SIZE * BROUGHT * last**2)
    down[LEFT, 2] = SMALLER * down[LEFT, 0]
    gate[1, DOCUMENT_LEFT], gate[1, QUERY_LEFT] = SHARP_MAXIMUM, -SHARP_MAXIMUM
    gate[1, CONSTANT], gate[1, BLANK] = -SHUT, SHUT * CONSTANT_SIZE / MARK_SIZE
    up[1, CONSTANT] = 1.0
    down[LEFT, 1] = (1 - SMALLER) * LEFT_SIZE / (SHARP_MAXIMUM * BROUGHT * CONSTANT_SIZE * last**2)


def wire_alike(w: Weights) -> None:
    """Units of the same MLP square the sketches' sum and difference: 2 q d - HARDLY (q^2 + d^2)."""
    down = w["mlp.down_proj"]
    shown = down.shape[0] ** 0.5 / LAST_SIZE * BROUGHT
    for sign, unit in wire_sums(w, BOTH_UNITS, SKETCHES, SKETCHES + SKETCH, SKETCH, 1 / shown):
        down[ALIKE, unit] = ALIKE_SIZE * (sign - HARDLY) / SMALL
