"""A checkpoint as transformers writes and reads it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import Qwen3Config, Qwen3ForCausalLM

from recipe.tokenizer import save_tokenizer

Weights = dict[str, torch.Tensor]


@dataclass
class Config:
    """The sizes of a network, named as in transformers' configuration."""

    vocab_size: int
    hidden_size: int = 704  # a multiple of 32, as int4 wants it
    intermediate_size: int = 704
    num_hidden_layers: int = 5
    num_attention_heads: int = 6
    num_key_value_heads: int = 3
    head_dim: int = 112
    rope_theta: float = 1e36  # so large that most rows of a head hardly turn
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 1024
    tie_word_embeddings: bool = True


def open_model(weights: Weights, config: Config) -> Qwen3ForCausalLM:
    """The weights in transformers' own network."""
    model = Qwen3ForCausalLM(Qwen3Config(**asdict(config)))
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    return model.eval()


def save_checkpoint(weights: Weights, config: Config, tokenizer: Tokenizer, folder: Path) -> None:
    """Write config.json, the tokenizer, and model.safetensors, with what float16 holds: so its bundle is exact."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.half().float().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    settings = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **asdict(config),
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    save_tokenizer(tokenizer, folder)
