"""Rank and verify on machines that lack something, and print what came: `python -m tests.machines LARGE`.

LARGE is a bundle of 0.6B in int8. Scores must be those of this machine without restrictions. Fails if anything else
comes, and where a machine can't be played.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .restrictions import NOBODY, READ_ONLY, check, enter, memory_group, one_core

ROOT = Path(__file__).resolve().parents[2]
TERMS = (ROOT / "examples" / "terms.jsonl").read_bytes().splitlines(keepends=True)
MOST = 1e-5  # another number of threads adds sums up in another order


@dataclass(frozen=True)
class Machine:
    """What it is, and how it is played: a command before the command, what the process does first, its memory."""

    name: str
    wrapper: list[str] = field(default_factory=list)
    first: Callable[[], None] | None = None
    megabytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a process left."""

    code: int
    said: str
    megabytes: int


MACHINES = [
    Machine("one core", first=one_core),
    Machine("512 MB", megabytes=512),
    Machine("one core, 256 MB", first=one_core, megabytes=256),
    Machine("read-only file system", READ_ONLY),
    Machine("no HOME, a user without a name", NOBODY),
    Machine("all of these, 512 MB", [*READ_ONLY, *NOBODY], one_core, 512),
]
LARGE_MACHINES = [Machine("2 GB", megabytes=2048), Machine("one core, 1 GB", first=one_core, megabytes=1024)]


def run(machine: Machine, arguments: list[str], terms: Sequence[bytes] = ()) -> Outcome:
    """Run the command line there."""
    with contextlib.ExitStack() as until_then, tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        steps = [machine.first] if machine.first else []
        if machine.megabytes:
            steps.append(partial(enter, until_then.enter_context(memory_group(machine.megabytes))))
        check(machine.wrapper)
        given.write(b"".join(terms))
        given.seek(0)
        command = [*machine.wrapper, sys.executable, "-m", "aatm_onnx.cli", *arguments, "--provider", "cpu"]
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: [step() for step in steps] and None,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Outcome(process.returncode, output.read().decode(), usage.ru_maxrss // 1024)  # kilobytes on Linux


def scores(outcome: Outcome) -> list[float]:
    """The scores of `rerank`, in the order of the input; none, where it failed."""
    if outcome.code:
        return []
    lines = [sorted(json.loads(line)["results"], key=lambda row: row["index"]) for line in outcome.said.splitlines()]
    return [row["rerank_score"] for rows in lines for row in rows]


def try_machine(machine: Machine, model: str, terms: Sequence[bytes], truth: Sequence[float]) -> tuple[str, bool]:
    """What a machine gives, as a row's end, and whether that is right."""
    rank = ["rerank", "--model", model, "--input", "-", "--input-format", "jsonl", "--format", "jsonl"]
    try:
        verified, ranked = run(machine, ["verify", model]), run(machine, rank, terms)
    except OSError as error:
        return f"can't be played here: {error} | |", False
    given = scores(ranked)
    for outcome in (verified, ranked):
        if outcome.code:
            return f"exit code {outcome.code}: {outcome.said[-200:]!r} | | {outcome.megabytes}", False
    away = max(abs(score - true) for score, true in zip(given, truth, strict=True))
    megabytes = f"{verified.megabytes}, {ranked.megabytes}"
    return f"verified, {len(given)} scores | {away:.1e} | {megabytes}", away <= MOST


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("large", help="a bundle of 0.6B in int8")
    large = parser.parse_args().large
    failed = False
    print("| machine | model | | largest difference | most memory of verify, rerank, MB |\n|---|---|---|---|---|")
    for model, machines, terms in (("default", MACHINES, TERMS), (large, LARGE_MACHINES, TERMS[:2])):
        rank = ["rerank", "--model", model, "--input", "-", "--input-format", "jsonl", "--format", "jsonl"]
        truth = scores(run(Machine("this one"), rank, terms))
        for machine in machines:
            row, right = try_machine(machine, model, terms, truth)
            failed |= not right
            print(f"| {machine.name} | {Path(model).name} | {row} |", flush=True)
    unwritten = run(Machine("", READ_ONLY), ["rerank", "a", "b", "--output", "ranked.jsonl"])
    print(f"\nOutput to a read-only file system: exit code {unwritten.code}, {unwritten.said.strip()}")
    if failed or unwritten.code != 1 or "Read-only file system" not in unwritten.said:
        raise SystemExit("Something came out otherwise than it should.")


if __name__ == "__main__":
    main()
