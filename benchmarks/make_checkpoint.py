"""Make a random Qwen3 reranker checkpoint at true size: `python benchmarks/make_checkpoint.py FOLDER --size 0.6B`.

Real weights can't always be downloaded where benchmarks run; time and memory depend on the sizes alone. Weights are
bfloat16, as in the released checkpoints, and written tensor by tensor, so an 8B checkpoint takes little memory.
The tokenizer is the real one from tests/data.
"""

import argparse
import gzip
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from aatm_onnx_export.checkpoint.config import tensor_shapes
from aatm_onnx_export.checkpoint.safetensors import INDEX_FILE

from aatm_onnx.atomic import move_folder, partial_folder, remove_leftovers
from aatm_onnx.bundle import ModelConfig

TOKENIZER = Path(__file__).parent.parent / "tests" / "data" / "qwen3-tokenizer"
VOCABULARY = 151_669

# layers, hidden, intermediate, query heads, KV heads, head, vocabulary, tied (config.json of Qwen/Qwen3-Reranker-*)
SIZES = {
    "0.6B": ModelConfig(28, 1024, 3072, 16, 8, 128, VOCABULARY, True),
    "4B": ModelConfig(36, 2560, 9728, 32, 8, 128, VOCABULARY, True),
    "8B": ModelConfig(36, 4096, 12288, 32, 8, 128, VOCABULARY, False),
}


def write_checkpoint(folder: Path, config: ModelConfig, seed: int, shard_bytes: int) -> None:
    """Write config.json, tokenizer and random shards of at most `shard_bytes` (or one tensor) each; all or nothing."""
    remove_leftovers(folder)
    with partial_folder(folder) as partial:
        _write_files(partial, config, seed, shard_bytes)
        move_folder(partial, folder)


def _write_files(folder: Path, config: ModelConfig, seed: int, shard_bytes: int) -> None:
    (folder / "config.json").write_text(json.dumps(config_of(config), indent=2))
    (folder / "tokenizer.json").write_bytes(gzip.decompress((TOKENIZER / "tokenizer.json.gz").read_bytes()))
    shutil.copy(TOKENIZER / "tokenizer_config.json", folder)
    shards = list(_shards(tensor_shapes(config), shard_bytes))
    weight_map: dict[str, str] = {}
    for number, shapes in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        _write_shard(folder / name, shapes, np.random.default_rng([seed, number]))
        weight_map |= dict.fromkeys(shapes, name)
    total = sum(2 * math.prod(shape) for shapes in shards for shape in shapes.values())
    (folder / INDEX_FILE).write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=2)
    )


def config_of(config: ModelConfig) -> dict[str, object]:
    """The config.json of a Qwen3 reranker of these sizes."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **vars(config),
        "attention_bias": False,
        "hidden_act": "silu",
        "max_position_embeddings": 40960,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000,
        "torch_dtype": "bfloat16",
    }


def _shards(shapes: dict[str, tuple[int, ...]], shard_bytes: int) -> Iterator[dict[str, tuple[int, ...]]]:
    shard: dict[str, tuple[int, ...]] = {}
    size = 0
    for name, shape in shapes.items():
        if shard and size + 2 * math.prod(shape) > shard_bytes:
            yield shard
            shard, size = {}, 0
        shard[name] = shape
        size += 2 * math.prod(shape)
    yield shard


def _write_shard(file: Path, shapes: dict[str, tuple[int, ...]], random: np.random.Generator) -> None:
    """One safetensors file: the header's length, the header, the tensors' bytes."""
    header, start = {}, 0
    for name, shape in shapes.items():
        end = start + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin aligned, as safetensors itself writes them
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            norm = len(shape) == 1
            for rows in range(0, shape[0], 1 << 14):
                part = random.standard_normal((min(1 << 14, shape[0] - rows), *shape[1:]), dtype=np.float32)
                part = 1 + 0.1 * part if norm else 0.02 * part  # 0.02: transformers' initializer_range
                stream.write((part.view(np.uint32) + 0x8000 >> 16).astype("<u2").tobytes())  # round to bfloat16


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="0.6B")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-gb", type=float, default=2.0)
    options = parser.parse_args()
    write_checkpoint(options.folder, SIZES[options.size], options.seed, int(options.shard_gb * 1e9))


if __name__ == "__main__":
    main()
