"""Heads that are written by hand: to a text's tokens, to its marker, to the token before.

RoPE turns a pair of a head's rows by an angle for each place, the first pair by 1, the others by less and less; what
is compared wherever it stands lies in rows that hardly turn.
"""

from math import cos, sin

import torch

from recipe.checkpoint import Config, Weights
from recipe.state import (
    BEFORE,
    BLANK,
    CONSTANT,
    CONSTANT_SIZE,
    DOCUMENT_MARK,
    EDGE,
    EMPHASIS,
    EMPHASIS_NOTE,
    IN_DOCUMENT,
    IN_QUERY,
    LAST,
    MARK_SIZE,
    MARKER_SIZE,
    NOTE,
    QUERY_MARK,
    SKETCH,
)

SURE = 20.0  # the logit of what a head looks for, where all else has 0
COPY_GAIN = 0.15  # of the end of the token before
FAST = 4  # pairs of rows that RoPE turns fastest
NEAR = 3.1  # gain of the norms on queries and keys in the rows that tell how far away a token is
OTHER, STRESS = 0.3, 0.2  # beside a mark, the row for neither text, in a key; the row for emphasis, in a query
COPIES = 1  # the key-value head that brings the token before


def slow_rows(size: int) -> tuple[int, int, int]:
    """Three rows of a head that RoPE hardly turns: for the document's mark, the query's, and neither."""
    return size // 2 - 1, size // 2 - 2, size // 2 - 3


def sketch_rows(size: int) -> torch.Tensor:
    """Rows for a sketch, those that turn least of the others; one of its entries more is the last row."""
    half = size // 2
    first = half - 3 - SKETCH // 2
    return torch.tensor([*range(first, half - 3), *range(half + first, size - 3)])


def set_gain(w: Weights, rows: list[int] | slice, gain: float) -> None:
    """Of the norms on queries and on keys."""
    for name in ("self_attn.q_norm", "self_attn.k_norm"):
        w[name][rows] = gain


def set_sharpness(w: Weights, rows: list[int] | slice, logit: float) -> None:
    """The gains under which a query and a key of one direction give this logit."""
    set_gain(w, rows, (logit / len(w["self_attn.k_norm"]) ** 0.5) ** 0.5)


def wire_marks(w: Weights, size: int) -> None:
    """Heads 0 and 1 look for the document's and the query's marker and note what they see."""
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    mark_a, mark_b, rest = slow_rows(size)
    set_sharpness(w, [mark_a, mark_b], SURE)
    k[mark_a, DOCUMENT_MARK], k[mark_b, QUERY_MARK], k[rest, CONSTANT] = 2.0, 2.0, 0.5
    q[mark_a, CONSTANT], q[size + mark_b, CONSTANT] = 2.0, 2.0
    v[0, DOCUMENT_MARK] = v[1, QUERY_MARK] = MARKER_SIZE / (MARK_SIZE * v.shape[1] ** 0.5)  # so that it brings 1
    o[IN_DOCUMENT, 0], o[IN_QUERY, size + 1] = NOTE, NOTE


def wire_copies(w: Weights, config: Config) -> None:
    """A head brings the end of the token before: RoPE turns its query back by one place, so it matches there."""
    size, half = config.head_dim, config.head_dim // 2
    set_gain(w, [*range(FAST), *range(half, half + FAST)], NEAR)
    q, k, v, o = (w[f"self_attn.{n}_proj"] for n in "qkvo")
    key, query = COPIES * size, 2 * COPIES * size
    for pair in range(FAST):
        angle = config.rope_theta ** (-pair / half)
        k[key + pair, CONSTANT] = 1.0
        q[query + pair, CONSTANT] = cos(angle)
        q[query + half + pair, CONSTANT] = -sin(angle)
    take = torch.arange(EDGE)
    v[key + take, LAST + take] = 1.0
    o[BEFORE + take, query + take] = COPY_GAIN


def wire_texts(w: Weights, size: int, head: int) -> None:
    """Two heads: the first is all tokens of the document, each as its emphasis says, the other all of the query's."""
    q, k = w["self_attn.q_proj"], w["self_attn.k_proj"]
    mark_a, mark_b, rest = slow_rows(size)
    stress, base = size - 1, head * size
    set_sharpness(w, [mark_a, mark_b], SURE)
    k[base + mark_a, IN_DOCUMENT] = k[base + mark_b, IN_QUERY] = CONSTANT_SIZE / NOTE  # as large as a constant
    k[base + rest, CONSTANT], k[base + rest, BLANK] = OTHER, 10.0
    q[2 * base + mark_a, CONSTANT] = 2.0
    q[2 * base + size + mark_a, CONSTANT], q[2 * base + size + mark_b, CONSTANT] = -2.0, 2.0
    # A logit is raised by the emphasis itself. Documents come after both markers, so their keys are longer.
    k[base + stress, EMPHASIS] = 1.0
    for row, marks, key in ((2 * base, 1, (2 + OTHER**2) ** 0.5), (2 * base + size, 2, (1 + OTHER**2) ** 0.5)):
        share = STRESS * key
        q[row + stress, CONSTANT] = 2.0 * (marks / (1 - share**2)) ** 0.5 * share
    set_sharpness(w, [stress], CONSTANT_SIZE / (EMPHASIS_NOTE * STRESS))
