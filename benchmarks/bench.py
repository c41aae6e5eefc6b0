"""`make bench`: speed and memory at Qwen3-Reranker-0.6B's size with random weights, as ratios from one run.

Each figure is taken in a process of its own, so that no runtime's threads or memory disturb another's. Torch is timed
on some of a workload's prompts, in one batch, and counted per pair: its time is proportional to their number, and a
batch of all of them with logits for every position would take tens of GB.
"""

import argparse
import multiprocessing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import our_path
import torch_paths
from workloads import WORKLOADS, terms

_TORCH_PROMPTS = {"T": 10, "R": 4, "M": 10}
_TORCH = {
    "aatm": (torch_paths.aatm_path, "aatm: float32, logits for every position"),
    "bf16": (torch_paths.bf16_path, "torch bfloat16, last position only"),
}
# What each workload is for: a precision of ours, and the torch path that it is held against.
_PAIRINGS = {
    "T": (("int8", "aatm"), ("int8", "bf16"), ("fp32", "aatm")),
    "R": (("int8", "bf16"),),
    "M": (("int8", "aatm"),),
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".cache/bench"),
        help="where checkpoint and bundles are kept; remove it after a change of the export",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workloads", nargs="*", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--candidates", type=int, default=10_000, help="up to which number memory is measured")
    options = parser.parse_args()
    checkpoint, bundles = prepare(options.folder)
    print("| workload | ours | ms a pair | against | ms a pair | times as long |\n|---|---|---|---|---|---|")
    for name in options.workloads:
        _print_speed(name, checkpoint, bundles, options.threads)
    print("\n| int8, process with tokenizer | to the first score, s | loaded, MB | at most, MB |\n|---|---|---|---|")
    sizes = [count for count in (1_000, 10_000) if count <= options.candidates]
    ids = WORKLOADS["T"].prompts(our_path.prefix_of(bundles["int8"]))
    for title, ask in (
        ("T", partial(our_path.ask_ids, ids)),
        *((f"1 query, {count:,} HPO names", partial(our_path.ask_terms, terms(count))) for count in sizes),
    ):
        measured = _alone(our_path.memory_and_loading, bundles["int8"], ask, options.threads)
        print(f"| {title} | {' | '.join(f'{figure:.1f}' for figure in measured.values())} |", flush=True)


def prepare(folder: Path) -> tuple[Path, dict[str, Path]]:
    """The checkpoint and its bundles by precision, made where they are not there from another run."""
    checkpoint = folder / "qwen3-0.6b-random"
    bundles = {precision: folder / f"{checkpoint.name}-{precision}" for precision in ("int8", "fp32")}
    # Not above, where the processes that are measured would import these too.
    from aatm_onnx_export.export import export_checkpoint
    from make_checkpoint import SIZES, write_checkpoint

    if not checkpoint.exists():
        write_checkpoint(checkpoint, SIZES["0.6B"], seed=0, shard_bytes=2_000_000_000)
    for precision, bundle in bundles.items():
        if not bundle.exists():
            # Random weights score all candidates much alike; their order may change, it means nothing.
            min_tau = -1.0 if precision == "int8" else None
            export_checkpoint(str(checkpoint), bundle, precision=precision, graph="fused", min_tau=min_tau)
    return checkpoint, bundles


def _print_speed(name: str, checkpoint: Path, bundles: dict[str, Path], threads: int) -> None:
    """A workload's rows of the table; every path is timed once."""
    workload, taken = WORKLOADS[name], dict[str, float]()  # ms a pair
    for precision, torch_path in _PAIRINGS[name]:
        if precision not in taken:
            prompts = workload.prompts(our_path.prefix_of(bundles[precision]))
            taken[precision] = 1e3 * _alone(our_path.seconds, bundles[precision], prompts, threads) / len(prompts)
        measure, title = _TORCH[torch_path]
        if torch_path not in taken:
            prompts = workload.prompts()[: _TORCH_PROMPTS[name]]
            taken[torch_path] = 1e3 * _alone(measure, checkpoint, prompts, threads) / len(prompts)
        ours, theirs = taken[precision], taken[torch_path]
        row = f"{workload.title} | {precision} | {ours:.1f} | {title} | {theirs:.1f} | {theirs / ours:.2f}"
        print(f"| {row} |", flush=True)


def _alone(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


if __name__ == "__main__":
    main()
