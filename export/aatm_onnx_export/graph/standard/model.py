"""A Qwen3 causal LM that answers only "no" or "yes", written so that tracing gives plain ONNX operators."""

import torch
from transformers import Qwen3ForCausalLM


class YesNoModel(torch.nn.Module):
    """input_ids and attention_mask, both (batch, seq) int64, left-padded -> logits (batch, 2), no before yes."""

    def __init__(self, model: Qwen3ForCausalLM, no_token_id: int, yes_token_id: int) -> None:
        super().__init__()
        self.config = model.config
        self.model = model.model
        rows = model.lm_head.weight[[no_token_id, yes_token_id]]  # (2, hidden), tied or not
        self.head = torch.nn.Linear(rows.shape[1], 2, bias=False)
        self.head.weight = torch.nn.Parameter(rows.detach().clone(), requires_grad=False)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """One batch; the last position of each row is its prompt's last token."""
        position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)  # (batch, seq): from 0 at the first real token
        hidden = self.model(
            input_ids=input_ids,
            attention_mask={"full_attention": additive_mask(attention_mask)},
            position_ids=position_ids,
            use_cache=False,
        ).last_hidden_state  # (batch, seq, hidden)
        logits: torch.Tensor = self.head(hidden[:, -1])
        return logits  # (batch, 2)


def additive_mask(attention_mask: torch.Tensor) -> torch.Tensor:
    """What to add to attention scores, (batch, 1, query, key) float32: 0 where a token may look, else the minimum.

    A token looks at real tokens up to itself. A padding token looks at itself alone: with nothing at all to look at,
    its row would be a softmax over nothing, and a NaN there would spread through 0 * NaN.
    """
    position = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    causal = position[:, None] >= position[None, :]  # (query, key)
    itself = position[:, None] == position[None, :]  # (query, key)
    real = attention_mask[:, None, None, :] > 0  # (batch, 1, 1, key)
    allowed = (causal & real) | itself  # (batch, 1, query, key)
    return torch.where(allowed, 0.0, torch.finfo(torch.float32).min)
