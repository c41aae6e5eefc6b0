"""Scores as probabilities: how steeply and from where the likeness rises, fitted on held-out dev questions.

logit = slope l / (1 - bend l) + offset, for a likeness l from -1 to 1. The network divides by its last norm anyway, so
the bend costs nothing there; slope and offset are what the rows of "yes" and "no" say.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from recipe.checkpoint import Config, Weights
from recipe.wired import CONSTANT, NORM_GAIN, SCORE, SCORE_GAIN

LIKELY = 0.1  # of the pairs, the most alike, are fitted: nobody asks how unlikely the others are
BENDS = [i / 20 for i in range(20)]


@dataclass
class Scale:
    """From a likeness to a logit."""

    bend: float = 0.0
    slope: float = 1.0
    offset: float = 0.0

    def logits(self, likeness: torch.Tensor) -> torch.Tensor:
        """Of likenesses from -1 to 1."""
        return self.slope * likeness / (1 - self.bend * likeness) + self.offset


def fit_scale(likeness: torch.Tensor, right: torch.Tensor) -> Scale:
    """The scale under which pairs (N,) are as likely right as they are."""
    likely = likeness >= likeness.quantile(1 - LIKELY)
    likeness, right = likeness[likely], right[likely]
    fits = {}
    for bend in BENDS:
        bent = likeness / (1 - bend * likeness)
        slope, offset = fit_logistic(torch.stack([bent, torch.ones_like(bent)], -1), right).tolist()
        scale = Scale(bend, slope, offset)
        fits[F.binary_cross_entropy_with_logits(scale.logits(likeness), right).item()] = scale
    return fits[min(fits)]


def fit_logistic(features: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Weights of a logistic regression on features (..., F)."""
    factors = torch.zeros(features.shape[-1], requires_grad=True)
    optimizer = torch.optim.LBFGS([factors], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(features @ factors, right) + 1e-6 * factors.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return factors.detach()


def with_scale(weights: Weights, config: Config, yes: int, no: int, scale: Scale) -> Weights:
    """New weights in which only the rows of yes and no differ: a norm leaves the constant at the root of the width."""
    row = torch.zeros(config.hidden_size)
    row[SCORE] = scale.slope * NORM_GAIN / SCORE_GAIN
    row[CONSTANT] = scale.offset
    row /= config.hidden_size**0.5
    table = weights["model.embed_tokens.weight"].clone()
    table[yes], table[no] = row / 2, -row / 2
    return {**weights, "model.embed_tokens.weight": table}
