"""The bundles that every processor is tried with, made on this machine: `python -m tests.processors.bundles FOLDER`.

The default model as it is carried, its weights exported anew in every precision, and random weights, whose products
come nearer to what 16 bits hold.
"""

import shutil
import sys
from pathlib import Path

from aatm_onnx_export.export import export_checkpoint

from aatm_onnx.bundle import ModelConfig

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from bundle_checkpoint import default_checkpoint  # noqa: E402  # type: ignore[import-not-found]
from make_checkpoint import VOCABULARY, write_checkpoint  # noqa: E402  # type: ignore[import-not-found]

_SMALL = ModelConfig(4, 256, 768, 4, 2, 64, VOCABULARY, True)


def main() -> None:
    """The command line."""
    target = Path(sys.argv[1])
    folder = target.with_name(f"{target.name}.partial")  # make takes a folder that is there for one that is whole
    for old in (target, folder):
        shutil.rmtree(old, ignore_errors=True)
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    write_checkpoint(checkpoints / "random", _SMALL, seed=0, shard_bytes=2_000_000_000)
    default = default_checkpoint(checkpoints)
    export_checkpoint(str(default), folder / "default fp32", precision="fp32")
    for precision in ("int8", "int4"):  # what they do to the order does not matter here
        export_checkpoint(str(default), folder / f"default {precision}", precision=precision, min_tau=-1.0)
    export_checkpoint(str(checkpoints / "random"), folder / "random int8", precision="int8", min_tau=-1.0)
    shutil.rmtree(checkpoints)
    shutil.copytree(ROOT / "models" / "default", folder / "default")
    folder.rename(target)


if __name__ == "__main__":
    main()
