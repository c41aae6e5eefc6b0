"""`make bench-peers`: this package beside other engines, each at its best settings, the shared prefix reused by all.

A checkpoint of Qwen3-Reranker-0.6B's size with random weights, token ids in, the logits of "no" and "yes" out. Both
engines of a row are loaded in processes of their own and asked in turns, so that what a machine does meanwhile meets
both; the ratio is the median of the rounds' ratios. Fidelity is the difference from torch's float32 scores on T and R.
What each engine was told stands in engines/, a file for each. Float engines are set beside this package in float32.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import numpy as np
from bench import prepare
from numpy.typing import NDArray
from our_path import prefix_of
from workloads import WORKLOADS, Workload

from aatm_onnx.runtime.scoring import probability_of_yes

ENGINES = {
    "aatm_onnx_int8": (
        "ctranslate2_int8",
        "openvino_int8",
        "openvino_int8_weights",
        "torch_bf16",
        "genai_int8",
        "llama_cpp_q8",
    ),
    "aatm_onnx_fp32": ("openvino_float32", "torch_shared_float32"),
}
TRUTH = "torch_float32"
_REST = 0.5  # seconds; the threads of the engine that was asked last may still look for work
SHAPES = {
    "T": WORKLOADS["T"],
    "1 x 10": replace(WORKLOADS["T"], title="1 query, 10 candidates", candidates=10),
    "a pair": replace(WORKLOADS["T"], title="a single pair", candidates=1),
    "R": replace(WORKLOADS["R"], title="R: 8 passages of 300 tokens", candidates=8),
}
FIDELITY = ("T", "R")
Scores = dict[str, NDArray[np.float64]]


class Engine(Protocol):
    """What a file of engines/ defines as `Engine`."""

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Load what `folder`'s checkpoint was made into; prompts begin with `prefix`, which may be run already."""

    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """(no, yes) after each whole prompt, (prompts, 2); their first `shared` tokens are equal."""


@dataclass
class Asked:
    """What one call came to."""

    seconds: float
    logits: NDArray[np.float32]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=Path(".cache/bench"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", nargs="+", default=[name for names in ENGINES.values() for name in names])
    options = parser.parse_args()
    prepare(options.folder)
    with _loaded(TRUTH, options) as truth:
        expected = {title: _scores(truth, title, options.folder) for title in FIDELITY}
    print(
        f"| engine | {' | '.join(SHAPES)} | {' | '.join(f'{title}: largest, mean difference' for title in FIDELITY)} |"
    )
    print("|---|" + "---|" * (len(SHAPES) + len(FIDELITY)))
    for this_package, others in ENGINES.items():
        if asked := [name for name in options.engines if name in others]:
            with _loaded(this_package, options) as ours:
                found = {title: _scores(ours, title, options.folder) for title in FIDELITY}
                print(f"| {_title(this_package)} {'| ' * len(SHAPES)}| {_fidelity(found, expected)} |", flush=True)
                for name in asked:
                    _row(name, options, ours, expected)


def _row(name: str, options: argparse.Namespace, ours: Connection, expected: Scores) -> None:
    cells, found = list[str](), Scores()
    with _loaded(name, options) as theirs:
        for title, workload in SHAPES.items():
            prompts, shared = _prompts(workload, options.folder)
            for engine in (theirs, ours):
                _ask(engine, prompts, shared)  # the first run takes memory
            pairs = [[_ask(engine, prompts, shared) for engine in (theirs, ours)] for _ in range(options.rounds)]
            ratio = statistics.median(their.seconds / our.seconds for their, our in pairs)
            their, our = (statistics.median(row[i].seconds for row in pairs) * 1e3 / len(prompts) for i in (0, 1))
            cells.append(f"{their:.0f}, {our:.0f}: {ratio:.2f}")
            found[title] = probability_of_yes(pairs[0][0].logits)
    print(f"| {_title(name)} | {' | '.join(cells)} | {_fidelity(found, expected)} |", flush=True)


def _title(name: str) -> str:
    title: str = import_module(f"engines.{name}").TITLE
    return title


def _prompts(workload: Workload, folder: Path) -> tuple[list[NDArray[np.int32]], int]:
    begin = prefix_of(folder / "qwen3-0.6b-random-int8")
    return workload.prompts(begin), workload.prefix + workload.query


def _scores(engine: Connection, title: str, folder: Path) -> NDArray[np.float64]:
    return probability_of_yes(_ask(engine, *_prompts(SHAPES[title], folder)).logits)


def _fidelity(found: Scores, expected: Scores) -> str:
    differences = [np.abs(found[title] - expected[title]) for title in FIDELITY]
    return " | ".join(f"{difference.max():.4f}, {difference.mean():.4f}" for difference in differences)


@contextmanager
def _loaded(name: str, options: argparse.Namespace) -> Iterator[Connection]:
    """An engine in a process of its own, that answers what it is asked."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    prefix = _prompts(SHAPES["T"], options.folder)[0][0][: SHAPES["T"].prefix].tolist()
    process = spawn.Process(target=_serve, args=(name, options.folder, options.threads, prefix, there), daemon=True)
    process.start()
    there.close()  # so that an engine that ends is heard of
    try:
        yield here
    finally:
        here.send(None)
        process.join()


def _serve(name: str, folder: Path, threads: int, prefix: list[int], connection: Connection) -> None:
    engine: Engine = import_module(f"engines.{name}").Engine(folder, threads, prefix)
    while (asked := connection.recv()) is not None:
        start = time.perf_counter()
        logits = engine.logits(*asked)
        connection.send(Asked(time.perf_counter() - start, logits))


def _ask(engine: Connection, prompts: list[NDArray[np.int32]], shared: int) -> Asked:
    time.sleep(_REST)
    engine.send((prompts, shared))
    answer: Asked = engine.recv()
    return answer


if __name__ == "__main__":
    main()
