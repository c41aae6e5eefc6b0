"""A checkpoint as transformers' own model: what the standard graph is traced from, and one of the references."""

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from aatm_onnx.errors import ExportError

from .checkpoint import Checkpoint


def load_model(checkpoint: Checkpoint) -> Qwen3ForCausalLM:
    """Load the weights as float32, whatever type they are stored in (released checkpoints are bfloat16).

    Raises:
        ExportError: transformers can't make a model of this config.json.
    """
    try:
        # Eager attention: matrix products and a softmax, which every ONNX runtime has.
        model: Qwen3ForCausalLM = Qwen3ForCausalLM.from_pretrained(
            checkpoint.folder,
            config=Qwen3Config.from_dict(dict(checkpoint.raw_config)),
            dtype=torch.float32,
            attn_implementation="eager",
        )
    except Exception as error:  # whatever a value that nobody foresaw leads to
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(f"transformers can't load {checkpoint.source.checkpoint} ({reason}).") from error
    return model
