"""Scores as probabilities: the answer's direction is fitted again, in scale and offset, on held-out dev questions.

The score is a product of the last state with the difference of the two answers' rows, so a scale is folded into these
rows exactly, and so is an offset: the constant is the same for every pair, or nearly.
"""

import torch
import torch.nn.functional as F

from recipe.batches import Encoder
from recipe.checkpoint import Config, Weights, open_model
from recipe.pool import Question
from recipe.wired import CONSTANT

BATCH = 64
LIKELY = 0.1  # of the pairs, the most alike, are fitted: nobody asks how unlikely the others are


def calibrate(weights: Weights, config: Config, encoder: Encoder, items: list[Question]) -> Weights:
    """New weights in which only the rows of yes and no differ."""
    states = last_states(weights, config, encoder, items)
    right = torch.tensor([float(i == item.gold) for item in items for i in range(len(item.candidates))])
    yes, no = (encoder.tokenizer.token_to_id(word) for word in ("yes", "no"))
    table = weights["model.embed_tokens.weight"].clone()
    direction = table[yes] - table[no]
    features = torch.stack([states @ direction, states[:, CONSTANT]], -1)
    spread = features.square().mean(0).sqrt()
    likely = features[:, 0] >= features[:, 0].quantile(1 - LIKELY)
    fitted = fit_logistic((features / spread)[likely], right[likely]) / spread
    new = fitted[0] * direction
    new[CONSTANT] += fitted[1]
    table[yes], table[no] = new / 2, -new / 2
    print("calibration: scale, offset", [round(v, 3) for v in fitted.tolist()], flush=True)
    return {**weights, "model.embed_tokens.weight": table}


@torch.inference_mode()
def last_states(weights: Weights, config: Config, encoder: Encoder, items: list[Question]) -> torch.Tensor:
    """What the head reads at the last token of every pair, shape (pairs, hidden), in the order of the pairs."""
    model = open_model(weights, config).model
    prompts = [ids for item in items for ids in encoder.prompts(item)]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    states = torch.empty(len(prompts), config.hidden_size)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        lengths = torch.tensor([len(prompts[i]) for i in rows])
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompts[i]) for i in rows], batch_first=True)
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        hidden = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        states[rows] = hidden[torch.arange(len(rows)), lengths - 1]
    return states


@torch.enable_grad()
def fit_logistic(features: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Weights of a logistic regression on features (..., F)."""
    features, right = features.clone(), right.clone()  # inference tensors have no gradients
    factors = torch.zeros(features.shape[-1], requires_grad=True)
    optimizer = torch.optim.LBFGS([factors], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(features @ factors, right) + 1e-5 * factors.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return factors.detach()
