"""Small random Qwen3 checkpoints, made on the fly by transformers, with the real Qwen3 tokenizer."""

import gzip
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import Qwen3Config, Qwen3ForCausalLM

TOKENIZER = Path(__file__).parent / "data" / "qwen3-tokenizer"
VOCABULARY = 151_669

# Models this small gain nothing from a second thread, and on a busy machine torch's threads wait for each other.
torch.set_num_threads(1)


def make_checkpoint(
    folder: Path,
    *,
    tied: bool = True,
    shards: int = 1,
    dtype: torch.dtype = torch.bfloat16,
    seed: int = 0,
    spread: float = 0.05,
    **sizes: Any,
) -> Path:
    """Write a checkpoint as `save_pretrained` does, and return its folder.

    Args:
        folder: where to write it.
        tied: one matrix for embeddings and lm_head, or two.
        shards: more than one cuts the weights in about so many files with an index.
        dtype: as stored; the released checkpoints are bfloat16.
        seed: of the weights.
        spread: standard deviation of the weights; enough that scores of different prompts differ clearly.
        **sizes: any field of Qwen3Config.
    """
    config = Qwen3Config(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "max_position_embeddings": 40960,
            "rope_theta": 1_000_000,
            "initializer_range": spread,
            "tie_word_embeddings": tied,
            **sizes,
        }
    )
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight"):  # transformers begins with ones, which would hide a forgotten norm
                weight.normal_(1.0, 0.2)
    size = sum(weight.numel() * dtype.itemsize for weight in model.parameters())
    model.to(dtype).save_pretrained(folder, max_shard_size=size if shards == 1 else size // shards)
    add_tokenizer(folder)
    return folder


def float32_logits(folder: Path, prompts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
    """The truth: each whole prompt alone through transformers in float32, (no, yes) logits, (prompts, 2)."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    answers = [tokenizer.token_to_id("no"), tokenizer.token_to_id("yes")]
    model = Qwen3ForCausalLM.from_pretrained(folder).float().eval()
    with torch.no_grad():
        rows = [model(torch.from_numpy(ids).long()[None], logits_to_keep=1).logits[0, -1, answers] for ids in prompts]
    return torch.stack(rows).numpy()  # type: ignore[no-any-return]


def add_tokenizer(folder: Path) -> None:
    """Put the real Qwen3 tokenizer into a checkpoint."""
    (folder / "tokenizer.json").write_bytes(gzip.decompress((TOKENIZER / "tokenizer.json.gz").read_bytes()))
    shutil.copy(TOKENIZER / "tokenizer_config.json", folder)


def rewrite_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change a checkpoint of one file."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def rewrite_header(folder: Path, change: Callable[[dict[str, Any]], object] | bytes) -> None:
    """Change what the one safetensors file of a checkpoint says of its tensors, or put other bytes in its place."""
    file = folder / "model.safetensors"
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    if not isinstance(change, bytes):
        header = json.loads(content[8:end])
        change(header)
        change = json.dumps(header).encode()
    file.write_bytes(len(change).to_bytes(8, "little") + change + content[end:])
