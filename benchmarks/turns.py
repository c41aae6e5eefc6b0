"""Two checkouts in turns, by shape of work: `python benchmarks/turns.py BUNDLE OLDER_CHECKOUT`.

Each runs in a process of its own, and one after the other does the same work, so that a machine that is slower for a
while is slower for both. Prints median and least milliseconds a call, and the median ratio (above 1: this one is
faster). Prompts are random token ids: time does not depend on the words.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workloads import NAMES, WORDS, WORKLOADS, Workload

from aatm_onnx.bundle import open_bundle
from aatm_onnx.runtime.scoring import prompt_logits
from aatm_onnx.runtime.session import open_session

HERE = Path(__file__).resolve().parent.parent
SHAPES = (
    "a single pair",
    "5 candidates",
    "10 candidates",
    "100 candidates",
    "10 of names' lengths",
    "100 of names' lengths",
    "12 queries of 10",
    "4 passages",
)
REPEATS = {"a single pair": 5, "5 candidates": 3, "10 candidates": 3, "10 of names' lengths": 3}


def serve(bundle: Path) -> None:
    """In a process with one checkout's aatm_onnx: answer the number of a shape with its milliseconds."""
    opened = open_bundle(bundle)
    session = open_session(opened, "cpu")
    assert session.prefix is not None
    begin, vocabulary = session.prefix.ids.tolist(), opened.manifest.config.vocab_size
    whole_words = vocabulary < 100_000  # then the default model's query and candidate have fewer tokens
    query, own, names = (3, (7,), WORDS) if whole_words else (WORKLOADS["T"].query, WORKLOADS["T"].own, NAMES)
    shapes = [(1, count, own) for count in (1, 5, 10, 100)] + [(1, count, names) for count in (10, 100)]
    shapes += [(12, 10, own), (1, 4, WORKLOADS["R"].own)]
    work = [
        Workload(title, queries, candidates, len(begin), query, tokens).prompts(begin, vocabulary)
        for title, (queries, candidates, tokens) in zip(SHAPES, shapes, strict=True)
    ]
    prompt_logits(session, work[2], 0)
    print("ready", flush=True)
    for line in sys.stdin:
        begun = time.perf_counter()
        prompt_logits(session, work[int(line)], 0)
        print(1e3 * (time.perf_counter() - begun), flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("older", type=Path, nargs="?", help="another checkout")
    parser.add_argument("--older-bundle", type=Path, help="the bundle that the older checkout runs, if another one")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--beside", action="store_true", help="beside a process that computes all the time")
    options = parser.parse_args()
    if options.older is None:
        serve(options.bundle)
        return
    processes = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(bundle.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
        )
        for checkout, bundle in ((options.older, options.older_bundle or options.bundle), (HERE, options.bundle))
    ]

    def ask(process: "subprocess.Popen[str]", shape: int) -> float:
        time.sleep(0.1)  # the other one's threads may still look for work
        assert process.stdin is not None and process.stdout is not None
        print(shape, file=process.stdin, flush=True)
        return float(process.stdout.readline())

    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if options.beside else None
    times: list[tuple[list[float], list[float]]] = [([], []) for _ in SHAPES]
    for _ in range(options.rounds):
        for number, shape in enumerate(SHAPES):
            for _ in range(REPEATS.get(shape, 1)):
                for process, spent in zip(processes, times[number], strict=True):
                    spent.append(ask(process, number))
    print("| ms a call, median (least) | older | this checkout | ratio |\n|---|---|---|---|")
    for shape, (older, newer) in zip(SHAPES, times, strict=True):
        ratio = statistics.median(a / b for a, b in zip(older, newer, strict=True))
        cells = [f"{statistics.median(each):.4g} ({min(each):.4g})" for each in (older, newer)]
        print(f"| {shape} | {cells[0]} | {cells[1]} | {ratio:.2f} |")
    if busy:
        busy.kill()
    for process in processes:
        process.communicate()


if __name__ == "__main__":
    main()
