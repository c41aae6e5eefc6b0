"""The bundles on processors that qemu plays, beside this one: `python -m tests.processors FOLDER arm` (or x86).

FOLDER is as `setup` and `bundles` made it. Prints a table, and fails if a bundle does not pass its own verification
there, if scores are not this machine's, or if saturating products are not seen.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .bundles import FLOAT_ACTIVATIONS

ROOT = Path(__file__).resolve().parents[2]
SCORE = Path(__file__).with_name("score.py")
EMULATORS = {"arm": "qemu-aarch64", "x86": "qemu-x86_64"}
# What qemu calls them, and what they have.
PROCESSORS = {
    "arm": [
        ("cortex-a72", "no dot product"),
        ("neoverse-n1", "dot product"),
        ("max", "all that qemu has: SVE, matrices of int8"),
    ],
    "x86": [("Nehalem", "SSE 4.2"), ("SandyBridge", "AVX"), ("Haswell", "AVX2")],
}
MOST_OF_FLOATS = 1e-5
# How far scores may be from this machine's. Sums are added up in another order, and some of the activations that are
# quantized to 8 bits fall on the other side; random weights make most of that. Saturated products are 0.008 off.
MOST = {
    "default": MOST_OF_FLOATS,
    "default fp32": MOST_OF_FLOATS,
    "default int8": 2e-3,
    "default int4": 5e-3,
    "random int8": 5e-3,
    "deep int4": 5e-3,
}


def python_on(folder: Path, family: str, processor: str) -> list[str]:
    """How Python is started on a processor."""
    emulator = [str(folder / "qemu" / "usr" / "bin" / EMULATORS[family]), "-cpu", processor]
    if family == "x86":
        return [*emulator, sys.executable]
    system = folder / "arm64"
    packages = f"PYTHONPATH={folder / 'arm64-packages'}:{ROOT}"
    return [*emulator, "-L", str(system), "-E", packages, str((system / "usr" / "bin" / "python3").resolve())]


def measure(python: list[str], bundles: list[Path]) -> dict[str, Any]:
    """What `score.py` says there."""
    done = subprocess.run([*python, str(SCORE), *map(str, bundles)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(python)} failed with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)  # qemu and ONNX Runtime warn on standard error
    return answer


def row_of(bundle: str, there: dict[str, Any], here: dict[str, Any]) -> tuple[str, list[str]]:
    """A bundle's part of a row of the table, and what is wrong.

    Scores must be those of `here`, or, of int4, those with activations in float: so ONNX Runtime computes
    where a processor has no products of bytes.
    """
    own, truth, wrong = there["own"], here[bundle]["own"]["scores"], []
    how, away, most = "", largest(own["scores"], truth), MOST[bundle]
    if (other := here.get(f"{bundle} {FLOAT_ACTIVATIONS}")) is not None:
        how = ", activations quantized"
        if (exactly := largest(own["scores"], other["own"]["scores"])) <= MOST_OF_FLOATS:
            how, away, most, truth = ", activations in float", exactly, MOST_OF_FLOATS, other["own"]["scores"]
    if not own["largest_difference"] <= own["tolerance"]:
        wrong.append(f"{bundle} fails its own verification")
    if not away <= most:
        wrong.append(f"{bundle}'s scores are {away:.2g} from this machine's")
    plain = there.get("plain")
    by_itself = f"{plain['largest_difference']:.1e}, {largest(plain['scores'], truth):.1e}" if plain else ""
    conformance = f"{own['largest_difference']:.1e} ({own['tolerance']:.0e})"
    return f"{bundle}{how} | {conformance} | {away:.1e} | {by_itself}", wrong


def largest(scores: list[float], others: list[float]) -> float:
    """The largest difference of two lists of scores."""
    return max(abs(score - other) for score, other in zip(scores, others, strict=True))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("family", choices=PROCESSORS)
    options = parser.parse_args()
    folder = options.folder.resolve()
    everything = sorted((folder / "bundles").iterdir())
    bundles = [path for path in everything if path.name in MOST]
    if len(bundles) < len(MOST):
        raise SystemExit(f"{folder / 'bundles'} lacks bundles; remove it and run make again.")
    here = measure([sys.executable], everything)
    print(f"here: products saturate {here['saturate']}; scores of {len(bundles)} bundles are compared with these\n")
    print(
        "| processor | bundle | conformance (allowed) | from here | both without our settings |\n|---|---|---|---|---|"
    )
    faults = []
    for processor, what in PROCESSORS[options.family]:
        there = measure(python_on(folder, options.family, processor), bundles)
        print(f"| {processor} ({what}) | products saturate: {there['saturate']} | | | |", flush=True)
        if there["saturate"] != there["wrong"]:
            faults.append(f"{processor}: products_saturate() is {there['saturate']}, which is not so")
        for bundle, measured in there["bundles"].items():
            row, wrong = row_of(bundle, measured, here["bundles"])
            print(f"| {processor} | {row} |", flush=True)
            faults += [f"{processor}: {sentence}" for sentence in wrong]
    if faults:
        raise SystemExit("\n" + "\n".join(faults))


if __name__ == "__main__":
    main()
