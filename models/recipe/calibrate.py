"""Scores as probabilities, fitted on held-out dev questions to what the network finds.

logit = (slope l - cost m) / (1 - bend l) + offset, for a likeness l from -1 to 1 and what is left over as far as the
texts are alike, m, from 0 up. The network divides by its last norm anyway, so the bend costs nothing there; slope, cost
and offset are what the rows of "yes" and "no" say.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from recipe.checkpoint import Config, Weights, open_model
from recipe.state import CONSTANT, COUNTED, SCORE
from recipe.wired import NORM_GAIN, SCORE_GAIN

BENDS = [i / 20 for i in range(20)]
NO_WORSE = 1e-4  # of the loss
TOGETHER = 64  # prompts of one length that are read at once


@dataclass
class Scale:
    """From a likeness, and what is left over, to a logit."""

    bend: float = 0.0
    slope: float = 1.0
    offset: float = 0.0
    cost: float = 0.0

    def logits(self, likeness: torch.Tensor, left: torch.Tensor | float = 0.0) -> torch.Tensor:
        """Of likenesses from -1 to 1 and what is left over, from 0 up."""
        return (self.slope * likeness - self.cost * left) / (1 - self.bend * likeness) + self.offset


def fit_scale(likeness: torch.Tensor, left: torch.Tensor, right: torch.Tensor, no_worse: float = NO_WORSE) -> Scale:
    """The scale under which pairs (N,) are as likely right as they are.

    Of those whose loss is larger than the least by less than `no_worse` it is the one with the largest bend: equal
    texts are surest with it.
    """
    fits = {}
    for bend in BENDS:
        over = 1 - bend * likeness
        features = torch.stack([likeness / over, torch.ones_like(over), -left / over], -1)
        scale = Scale(bend, *fit_logistic(features, right).tolist())
        fits[F.binary_cross_entropy_with_logits(scale.logits(likeness, left), right).item()] = scale
    return max((fits[loss] for loss in fits if loss < min(fits) + no_worse), key=lambda scale: scale.bend)


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


@torch.inference_mode()
def found_by(weights: Weights, config: Config, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Likeness of each prompt, and what is left over as far as they are alike, both (prompts,), without a bend."""
    network = open_model(weights, config).model
    states = torch.zeros(len(prompts), config.hidden_size)
    for length in sorted({len(prompt) for prompt in prompts}):
        those = torch.tensor([i for i, prompt in enumerate(prompts) if len(prompt) == length])
        for some in those.split(TOGETHER):
            states[some] = network(torch.tensor([prompts[i] for i in some])).last_hidden_state[:, -1]
    constant = states[:, CONSTANT] / NORM_GAIN
    return states[:, SCORE] / SCORE_GAIN / constant, states[:, COUNTED] / SCORE_GAIN / constant


def with_scale(weights: Weights, config: Config, yes: int, no: int, scale: Scale) -> Weights:
    """New weights in which only the rows of yes and no differ: a norm leaves the constant at the root of the width."""
    row = torch.zeros(config.hidden_size)
    row[SCORE] = scale.slope * NORM_GAIN / SCORE_GAIN
    row[COUNTED] = -scale.cost * NORM_GAIN / SCORE_GAIN
    row[CONSTANT] = scale.offset
    row /= config.hidden_size**0.5
    table = weights["model.embed_tokens.weight"].clone()
    table[yes], table[no] = row / 2, -row / 2
    return {**weights, "model.embed_tokens.weight": table}
