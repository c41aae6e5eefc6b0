"""`make bench`: speed and memory at Qwen3-Reranker-0.6B's size with random weights, as ratios from one run.

Each figure is taken in a process of its own, so that no runtime's threads or memory disturb another's. Torch is timed
on some of a workload's prompts, in one batch, and counted per pair: its time is proportional to their number, and a
batch of all of them with logits for every position would take tens of GB.
"""

import argparse
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import our_path
import torch_paths
from aatm_onnx_export.export import export_checkpoint
from make_checkpoint import SIZES, write_checkpoint
from workloads import WORKLOADS, Workload

_TORCH_PROMPTS = {"T": 10, "R": 4, "M": 10}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--folder", type=Path, default=Path(".cache/bench"), help="where checkpoint and bundles are kept"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workloads", nargs="*", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--candidates", type=int, default=1000, help="up to which number memory is measured")
    options = parser.parse_args()
    checkpoint = options.folder / "qwen3-0.6b-random"
    bundles = {precision: options.folder / f"{checkpoint.name}-{precision}" for precision in ("int8", "fp32")}
    _prepare(checkpoint, bundles)
    print("ms a pair; ratios: int8 to aatm, int8 to bf16, fp32 to aatm")
    print("| workload | ours, int8 | ours, fp32 | torch bf16, last position | aatm | ratios | | |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.workloads:
        print(_speed(name, WORKLOADS[name], checkpoint, bundles, options.threads), flush=True)
    print("\n| int8 | " + " | ".join(("to the first score, s", "loaded, MB", "peak, MB")) + " |\n|---|---|---|---|")
    for candidates in (100, 1000, 10_000):
        workload = replace(WORKLOADS["T"], candidates=candidates)
        if candidates <= options.candidates:
            measured = _alone(our_path.memory_and_loading, bundles["int8"], workload.prompts(), options.threads)
            figures = " | ".join(f"{figure:.1f}" for figure in measured.values())
            print(f"| T with {candidates} candidates | {figures} |", flush=True)


def _prepare(checkpoint: Path, bundles: dict[str, Path]) -> None:
    """Make the checkpoint and its bundles, where they are not there from another run."""
    if not checkpoint.exists():
        write_checkpoint(checkpoint, SIZES["0.6B"], seed=0, shard_bytes=2_000_000_000)
    for precision, bundle in bundles.items():
        if not bundle.exists():
            # Random weights score all candidates much alike; their order may change, it means nothing.
            min_tau = -1.0 if precision == "int8" else None
            export_checkpoint(str(checkpoint), bundle, precision=precision, graph="fused", min_tau=min_tau)


def _speed(name: str, workload: Workload, checkpoint: Path, bundles: dict[str, Path], threads: int) -> str:
    """One row of the table."""
    prompts = workload.prompts()
    few = prompts[: _TORCH_PROMPTS[name]]
    int8, fp32 = (1e3 * _alone(our_path.seconds, bundles[p], prompts, threads) / len(prompts) for p in ("int8", "fp32"))
    bf16 = 1e3 * _alone(torch_paths.bf16_path, checkpoint, few, threads) / len(few)
    aatm = 1e3 * _alone(torch_paths.aatm_path, checkpoint, few, threads) / len(few)
    ratios = f"{aatm / int8:.1f} | {bf16 / int8:.2f} | {aatm / fp32:.1f}"
    return f"| {workload.title} | {int8:.1f} | {fp32:.1f} | {bf16:.1f} | {aatm:.1f} | {ratios} |"


def _alone(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


if __name__ == "__main__":
    main()
