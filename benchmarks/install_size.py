"""What an install takes on disk, package by package, and which of them `aatm-onnx rerank` loads.

`make bench-default` runs it in an environment that has `aatm-onnx[cpu]` and nothing else.
"""

import contextlib
import io
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from aatm_onnx.cli.commands import cli

INSTALLERS = {"pip", "setuptools", "wheel"}


def megabytes(distribution: Distribution) -> float:
    """Of its files, without what Python compiles of them."""
    files = [Path(str(file.locate())) for file in distribution.files or () if "__pycache__" not in file.parts]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def loaded(distribution: Distribution) -> bool:
    """Whether one of its modules has been imported."""
    tops = {Path(file).parts[0].removesuffix(".py") for file in distribution.files or () if str(file).endswith(".py")}
    return bool(tops & {name.partition(".")[0] for name in sys.modules})


def main() -> None:
    """Print a table."""
    for model in ("default", "bm25"):
        with contextlib.redirect_stdout(io.StringIO()):
            cli.main(["rerank", "kidney stones", "Gallstones", "--model", model], standalone_mode=False)
    found = {each.name: each for each in distributions() if each.name not in INSTALLERS}
    rows = sorted(((megabytes(each), name, loaded(each)) for name, each in found.items()), reverse=True)
    print("| package | MB | loaded by aatm-onnx rerank |\n|---|---|---|")
    for size, name, used in rows:
        print(f"| {name} | {size:.1f} | {'yes' if used else 'no'} |")
    needed = [size for size, _, used in rows if used]
    print(f"| all {len(rows)} | {sum(size for size, *_ in rows):.0f} | {len(needed)}, {sum(needed):.0f} MB |")


if __name__ == "__main__":
    main()
