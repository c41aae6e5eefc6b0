"""The bundles that every processor is tried with, made on this machine: `python -m tests.processors.bundles FOLDER`.

The default model as it is carried, and its weights exported anew in every precision. Random weights in int8, whose
products come nearer to what 16 bits hold, and in int4 a random model of more layers, in which a layer's rounding goes
through the next ones. These two have a tokenizer of their own, of a few words: with the default model's they would be
other models each time that it is trained anew, and Qwen3's takes long to read under emulation.
"""

import json
import shutil
import sys
from pathlib import Path

from aatm_onnx_export.export import export_checkpoint
from aatm_onnx_export.proof.float_activations import float_activations

from aatm_onnx.bundle import Bundle, ModelConfig

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "models")]

from bundle_checkpoint import default_checkpoint  # noqa: E402  # type: ignore[import-not-found]
from make_checkpoint import write_checkpoint  # noqa: E402  # type: ignore[import-not-found]
from recipe.tokenizer import save_tokenizer, train_tokenizer  # noqa: E402  # type: ignore[import-not-found]

_LAYERS = {"random": 4, "deep": 12}
_VOCABULARY = 2000
FLOAT_ACTIVATIONS = "float activations"  # how the name of a bundle ends that is for this machine alone


def write_random(folder: Path, layers: int) -> None:
    """Random weights with a tokenizer of the examples' words."""
    tokenizer = train_tokenizer(
        (ROOT / "examples" / "terms.jsonl").read_text(encoding="utf-8").splitlines(), _VOCABULARY
    )
    architecture = ModelConfig(layers, 256, 768, 4, 2, 64, tokenizer.get_vocab_size(), True)
    write_checkpoint(folder, architecture, seed=0, shard_bytes=2_000_000_000)
    config = json.loads((folder / "config.json").read_text())
    pad_token_id = tokenizer.token_to_id("<|endoftext|>")
    (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": pad_token_id}))
    save_tokenizer(tokenizer, folder)


def write_float_activations(bundle: Bundle, target: Path) -> None:
    """An int4 bundle that any machine computes with activations in float; its hashes are not right."""
    shutil.copytree(bundle.path, target)
    with float_activations(bundle) as files:
        shutil.copy(files.graph_path, target / bundle.graph_path.name)


def main() -> None:
    """The command line."""
    target = Path(sys.argv[1])
    folder = target.with_name(f"{target.name}.partial")  # make takes a folder that is there for one that is whole
    for old in (target, folder):
        shutil.rmtree(old, ignore_errors=True)
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    default = default_checkpoint(checkpoints)
    for name, layers in _LAYERS.items():
        write_random(checkpoints / name, layers)
    export_checkpoint(str(default), folder / "default fp32", precision="fp32")
    quantized = (("default", "int8"), ("default", "int4"), ("random", "int8"), ("deep", "int4"))
    for checkpoint, precision in quantized:
        # What they do to the order does not matter here.
        name = f"{checkpoint} {precision}"
        bundle = export_checkpoint(str(checkpoints / checkpoint), folder / name, precision=precision, min_tau=-1.0)
        if precision == "int4":
            write_float_activations(bundle, folder / f"{name} {FLOAT_ACTIVATIONS}")
    shutil.rmtree(checkpoints)
    shutil.copytree(ROOT / "models" / "default", folder / "default")
    folder.rename(target)


if __name__ == "__main__":
    main()
