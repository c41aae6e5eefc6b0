"""Units of an MLP that square: silu(e x) x is e x^2 / 2 for a small e."""

import torch

from recipe.checkpoint import Weights

SMALL = 2.0**-10  # e


def wire_sums(
    w: Weights, first: int, document: int, query: int, width: int, gain: float = 1.0
) -> list[tuple[int, torch.Tensor]]:
    """Units from `first` on make SMALL (gain x)^2 / 2 of the sum x of two parts of a state, as many of the difference.

    Returns:
        1 and the sum's units, -1 and the difference's, each of shape (width,), an entry for each of the parts' entries.
    """
    gate, up = w["mlp.gate_proj"], w["mlp.up_proj"]
    take, found = torch.arange(width), []
    for number, sign in enumerate((1, -1)):
        unit = first + number * width + take
        for proj, size in ((gate, SMALL * gain), (up, gain)):
            proj[unit, document + take], proj[unit, query + take] = size, sign * size
        found.append((sign, unit))
    return found
