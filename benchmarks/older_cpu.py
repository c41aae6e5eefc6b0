"""int8 on a processor without VNNI, which qemu plays (Debian's qemu-user): `python benchmarks/older_cpu.py`.

Of the default model, and of random weights, whose products come nearer to what 16 bits hold.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
from aatm_onnx_export.export import export_checkpoint
from aatm_onnx_export.proof.fidelity import calibration_prompts
from bundle_checkpoint import default_checkpoint
from make_checkpoint import VOCABULARY, write_checkpoint

from aatm_onnx.bundle import Bundle, ModelConfig, open_bundle
from aatm_onnx.prompt import prompt_tokenizer
from aatm_onnx.runtime.saturation import products_saturate
from aatm_onnx.runtime.scoring import score_prompts
from aatm_onnx.runtime.session import open_session

_SMALL = ModelConfig(4, 256, 768, 4, 2, 64, VOCABULARY, True)
_PAIRS = 20


def measure(bundle: Bundle) -> dict[str, bool | list[float]]:
    """What this processor is found to do to int8 products, and the scores that it gives if that is heeded, or not."""
    manifest = bundle.manifest
    tokenizer = prompt_tokenizer(bundle, manifest.prompt.prefix, manifest.prompt.suffix, manifest.max_length)
    prompts = calibration_prompts(tokenizer, manifest.prompt.task)[0][:_PAIRS]
    heeded = score_prompts(open_session(bundle, "cpu"), prompts, manifest.pad_token_id)
    with patch("aatm_onnx.runtime.providers.products_saturate", return_value=False):
        unheeded = score_prompts(open_session(bundle, "cpu"), prompts, manifest.pad_token_id)
    return {"saturate": products_saturate(), "heeded": heeded, "unheeded": unheeded}


def compare(title: str, bundle: Bundle, cpu: str) -> None:
    """Print a model's row: how far the other processor's scores are from this one's."""
    here = measure(bundle)
    command = ["qemu-x86_64", "-cpu", cpu, sys.executable, __file__, "--measure", str(bundle.path)]
    emulated = subprocess.run(command, check=True, capture_output=True, text=True)  # qemu says much on stderr
    there = json.loads(emulated.stdout)
    unheeded, heeded = (np.abs(np.subtract(there[key], here["heeded"])).max() for key in ("unheeded", "heeded"))
    print(f"| {title} | {here['saturate']}, {there['saturate']} | {unheeded:.2g} | {heeded:.2g} |", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cpu", default="Haswell", help="one that qemu knows")
    parser.add_argument("--measure", type=Path, help="measure this bundle here, as is done under qemu")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(open_bundle(options.measure))))
        return
    print(
        f"| int8, {_PAIRS} pairs | products saturate here, there | largest difference, unheeded | as the runtime does |"
    )
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        write_checkpoint(at / "random", _SMALL, seed=0, shard_bytes=2_000_000_000)
        for title, checkpoint, min_tau in (
            ("default model", default_checkpoint(at), None),
            ("random weights", at / "random", -1.0),
        ):
            bundle = export_checkpoint(str(checkpoint), at / f"{title}-int8", precision="int8", min_tau=min_tau)
            compare(title, bundle, options.cpu)


if __name__ == "__main__":
    main()
