"""How many batches should run side by side: `python benchmarks/cores.py BUNDLE [--rounds 3]`, on all cores.

Prints what was measured here, for every number of batches side by side up to the threads; and what a model of the
costs, fitted to one and two threads here, expects of machines with more. The model: a batch of n tokens takes
read + n * token on one thread; on t threads, by Amdahl's law, (1 - alone) / t + alone of that; and of w batches side by
side each takes 1 + (w - 1) * beside as long.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from workloads import WORKLOADS

from aatm_onnx.bundle import open_bundle
from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.plan import Budgets, Score, plan
from aatm_onnx.runtime.providers import usable_cpus
from aatm_onnx.runtime.scoring import TOKEN_BUDGETS, prompt_logits
from aatm_onnx.runtime.session import MOST_WORKERS, Session, open_session

SHARED = WORKLOADS["T"].prefix + WORKLOADS["T"].query  # tokens
(OWN,) = WORKLOADS["T"].own
SIZES = (64, 128, 256, 384)  # tokens of a batch
MACHINES = (2, 4, 8, 16, 64)
SHAPES = {
    "T": WORKLOADS["T"],
    "1 x 10": replace(WORKLOADS["T"], candidates=10),
    "a pair": replace(WORKLOADS["T"], candidates=1),
    "R, 32 passages": WORKLOADS["R"],
    "M, 32 queries": replace(WORKLOADS["M"], queries=32),
}


@dataclass(frozen=True)
class Costs:
    """What batches cost, in milliseconds and shares."""

    read: float
    token: float
    alone: float
    beside: float

    def batch(self, tokens: int, threads: float, workers: int) -> float:
        """Milliseconds of a batch with `threads` threads, one of `workers` batches side by side."""
        shared = (1 - self.alone) / threads + self.alone
        return (self.read + tokens * self.token) * shared * (1 + (workers - 1) * self.beside)

    def of_t(self, prompts: list[TokenIds], known: TokenIds, threads: int, workers: int) -> float:
        """Milliseconds of a call with T's prompts, as the plan would cut it."""
        steps = plan(prompts, [known], Budgets(TOKEN_BUDGETS["cpu"], 256, workers))
        tokens = [OWN * len(step.prompts) for step in steps if isinstance(step, Score)]
        rounds = [tokens[i : i + workers] for i in range(0, len(tokens), workers)]
        return sum(self.batch(max(each), max(1, threads / len(each)), len(each)) for each in rounds)


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """The median of some rounds, after one that takes memory."""
    work()
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(taken)


def batch_milliseconds(session: Session, tokens: int, rounds: int) -> float:
    """One batch of T's candidates after their prefix."""
    assert session.prefix is not None
    prompts = np.stack(WORKLOADS["T"].prompts(session.prefix.ids.tolist()))
    prefix = session.extend(session.prefix, prompts[0][:SHARED])
    own = prompts[: tokens // OWN, SHARED:].astype(np.int64)
    return milliseconds(lambda: session.logits(own, np.ones_like(own), prefix), rounds)


def fitted(bundle: Path, rounds: int) -> Costs:
    """The costs on one and two threads of this machine."""
    one, two = (open_session(open_bundle(bundle), "cpu", threads) for threads in (1, 2))
    own = [tokens // OWN * OWN for tokens in SIZES]
    single = [batch_milliseconds(one, tokens, rounds) for tokens in SIZES]
    both = [batch_milliseconds(two, tokens, rounds) for tokens in SIZES]
    token, read = np.polyfit(own, single, 1)
    alone = statistics.median(2 * b / a - 1 for a, b in zip(single, both, strict=True))
    assert one.prefix is not None
    prompts = WORKLOADS["T"].prompts(one.prefix.ids.tolist())
    half, whole = (
        milliseconds(partial(prompt_logits, session, some, 0), rounds)
        for session, some in ((one, prompts[:50]), (two, prompts))
    )
    print("| one batch of | " + " | ".join(f"{n} tokens" for n in own) + " |\n|---|" + "---|" * len(own))
    for title, times in (("one thread, ms", single), ("two threads, ms", both)):
        print(f"| {title} | " + " | ".join(f"{each:.0f}" for each in times) + " |")
    return Costs(max(read, 0.0), token, max(alone, 0.0), max(whole / half - 1, 0.0))


def print_expected(costs: Costs, known: TokenIds) -> None:
    """T on other machines."""
    prompts = WORKLOADS["T"].prompts(known.tolist())
    counts = [1, 2, 4, 8, 16, 32, 64]
    print("\n| T, expected ms a pair | " + " | ".join(f"{n} side by side" for n in counts) + " |")
    print("|---|" + "---|" * len(counts))
    for threads in MACHINES:
        cells = (f"{costs.of_t(prompts, known, threads, n) / len(prompts):.1f}" if n <= threads else "" for n in counts)
        print(f"| {threads} threads | " + " | ".join(cells) + " |")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{usable_cpus()} CPUs, load {os.getloadavg()[0]:.1f}; {options.bundle}")
    costs = fitted(options.bundle, options.rounds)
    print(
        f"\nread {costs.read:.0f} ms, a token {costs.token:.2f} ms, alone {costs.alone:.3f}, beside {costs.beside:.3f};"
        f" the runtime takes as many side by side as threads, {MOST_WORKERS} at most"
    )
    session = open_session(open_bundle(options.bundle), "cpu")
    assert session.prefix is not None
    print_expected(costs, session.prefix.ids)
    counts = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= session.threads]
    print("\n| measured here, ms a pair | " + " | ".join(f"{n} side by side" for n in counts) + " |")
    print("|---|" + "---|" * len(counts))
    for title, workload in SHAPES.items():
        prompts = workload.prompts(session.prefix.ids.tolist())
        runs = (partial(prompt_logits, replace(session, workers=n), prompts, 0) for n in counts)
        cells = (milliseconds(run, options.rounds) / len(prompts) for run in runs)
        print(f"| {title} | " + " | ".join(f"{each:.1f}" for each in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
