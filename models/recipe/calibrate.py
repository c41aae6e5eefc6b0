"""Scores as probabilities: the answer's direction is fitted again, in scale and offset, on held-out dev questions.

The score is a product of the last state with the difference of the two answers' rows, so a scale is folded into these
rows exactly. An offset needs a state that is the same for every pair; the constant and the two marks nearly are.
"""

import numpy as np
import torch
import torch.nn.functional as F

from recipe.batches import Encoder
from recipe.network import Config, Weights, last_states
from recipe.pool import Question
from recipe.start import CONSTANT, IN_DOCUMENT, IN_QUERY
from recipe.train import answers


@torch.no_grad()
def calibrate(weights: Weights, config: Config, encoder: Encoder, items: list[Question]) -> Weights:
    """New weights in which only the rows of yes and no differ."""
    weights = {name: tensor.detach().cpu() for name, tensor in weights.items()}
    states = torch.cat([last_states(weights, config, b, torch.float32) for b in encoder.question_batches(items)])
    right = torch.from_numpy(np.array([[i == item.gold for i in range(states.shape[1])] for item in items])).float()
    yes, no = answers(encoder.plain)
    table = weights["model.embed_tokens.weight"].clone()
    direction = table[yes] - table[no]
    features = torch.stack([states @ direction, *(states[..., i] for i in (CONSTANT, IN_DOCUMENT, IN_QUERY))], -1)
    spread = features.flatten(0, 1).square().mean(0).sqrt()
    fitted = fit_logistic(features / spread, right) / spread
    new = fitted[0] * direction
    new[[CONSTANT, IN_DOCUMENT, IN_QUERY]] += fitted[1:]
    table[yes], table[no] = new / 2, -new / 2
    print("calibration: scale, offsets", [round(v, 3) for v in fitted.tolist()], flush=True)
    return {**weights, "model.embed_tokens.weight": table}


@torch.enable_grad()
def fit_logistic(features: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Weights of a logistic regression on features (..., F)."""
    factors = torch.zeros(features.shape[-1], requires_grad=True)
    optimizer = torch.optim.LBFGS([factors], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(features @ factors, right) + 1e-5 * factors.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return factors.detach()
