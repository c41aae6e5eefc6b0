"""int4 with quantized activations and with float ones: `python benchmarks/int4_activations.py`, or with checkpoints.

Prints how far the conformance prompts' scores are at most from each other and from float32. Both are in every int4
bundle's vectors: processors without products of bytes (ARM64 without dot product, x86 without AVX2, WebAssembly) leave
activations as they are.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from aatm_onnx_export.export import export_checkpoint
from bundle_checkpoint import default_checkpoint
from make_checkpoint import SIZES, VOCABULARY, write_checkpoint
from massive import FIRST_TOKEN, add_massive_activations
from numpy.typing import NDArray

from aatm_onnx.bundle import Bundle, ModelConfig
from aatm_onnx.prompt import DEFAULT_PREFIX
from aatm_onnx.runtime.scoring import probability_of_yes

RANDOM = {
    "random, 4 layers of 256": ModelConfig(4, 256, 768, 4, 2, 64, VOCABULARY, True),
    "random, 12 layers of 512": ModelConfig(12, 512, 1536, 8, 4, 64, VOCABULARY, True),
}


def compare(title: str, checkpoint: Path, work: Path, prefix: str = DEFAULT_PREFIX) -> None:
    """Print a row."""
    for name in ("fp32", "int4"):
        shutil.rmtree(work / name, ignore_errors=True)
    exact = export_checkpoint(str(checkpoint), work / "fp32", precision="fp32", prefix=prefix)
    quantized = export_checkpoint(str(checkpoint), work / "int4", precision="int4", prefix=prefix, min_tau=-1.0)
    fidelity = quantized.manifest.graph.fidelity
    assert fidelity is not None  # int4 has been measured
    true = probability_of_yes(_logits(exact)[:, 0])  # (vectors,)
    quantized_there, in_float = map(probability_of_yes, _logits(quantized).swapaxes(0, 1))
    pairs = ((quantized_there, in_float), (quantized_there, true), (in_float, true))
    apart = " | ".join(f"{np.abs(one - other).max():.1e}" for one, other in pairs)
    print(f"| {title} | {fidelity.tau:.3f} | {apart} |", flush=True)


def _logits(bundle: Bundle) -> NDArray[np.float32]:
    """What the vectors have, (vectors, ways, 2)."""
    return np.asarray([vector.all_logits for vector in bundle.conformance()], np.float32)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoints", type=Path, nargs="*", help="folders; none: random ones and the default model's")
    parser.add_argument("--large", action="store_true", help="0.6B with random weights too, which takes 8 GB of disk")
    options = parser.parse_args()
    titles = ("quantized from float activations", "quantized from float32", "float activations from float32")
    print(f"| checkpoint | tau of int4 | {' | '.join(titles)} |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for checkpoint in options.checkpoints:
            compare(checkpoint.name, checkpoint, work)
        if options.checkpoints:
            return
        for number, (title, config) in enumerate(RANDOM.items()):
            write_checkpoint(work / f"random-{number}", config, seed=0, shard_bytes=2_000_000_000)
            compare(title, work / f"random-{number}", work)
        if options.large:
            write_checkpoint(work / "0.6B", SIZES["0.6B"], seed=0, shard_bytes=2_000_000_000)
            compare("random, 0.6B", work / "0.6B", work)
            add_massive_activations(work / "0.6B", work / "massive")
            compare("the same, massive activations", work / "massive", work, FIRST_TOKEN + DEFAULT_PREFIX)
        compare("the default model's", default_checkpoint(work), work)


if __name__ == "__main__":
    main()
