"""Mutate bundles and cut long texts, count what came of it, and fail if it was anything but an error of ours.

python -m tests.fuzz --cases 10000 --seconds 1800
"""

import argparse
import json
import queue
import subprocess
import sys
import threading
import time
from collections import Counter

# A case that takes longer hangs. Verifying takes a quarter of a second.
SECONDS_A_CASE = 60
# Cases that fell once; they are tried first, whatever else is asked for. What was found by hand stands, named, in
# test_hostile_bundles.py.
FOUND = (
    3620,  # a max_length without room for a text was said to be the caller's mistake
    1547,  # random keys and values of three tokens moved scores by 4e-5, and the vectors allowed it
)
BAD = ("SILENT", "WRONG", "other exception", "hang", "crash")


class Worker:
    """A process that tries cases, started anew after a case has ended it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.fuzz.worker"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        if self.answers.get() != "ready\n":
            raise SystemExit("The worker can't start; run `python -m tests.fuzz.worker` to see why.")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def ask(self, seed: int) -> tuple[str, str]:
        """Try one case."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seed}\n")
        self.process.stdin.flush()
        try:
            answer = self.answers.get(timeout=SECONDS_A_CASE)
        except queue.Empty:
            return "hang", ""
        if not answer:
            return f"crash, exit code {self.process.wait()}", ""
        outcome, said = json.loads(answer)
        return outcome, said

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def run(first: int, cases: int, seconds: float) -> tuple[Counter[str], list[tuple[int, str, str]]]:
    """Try what was found, then cases `first`, `first` + 1, ... and count outcomes; also return the bad cases."""
    counts: Counter[str] = Counter()
    bad: list[tuple[int, str, str]] = []
    worker, end = Worker(), time.monotonic() + seconds
    try:
        for seed in [*FOUND, *range(first, first + cases)]:
            if time.monotonic() > end:
                break
            outcome, said = worker.ask(seed)
            counts[outcome] += 1
            if outcome.startswith(BAD):
                bad.append((seed, outcome, said))
                print(f"case {seed}: {outcome}: {said}", flush=True)
            if outcome.startswith(("hang", "crash")):
                worker.stop()
                worker = Worker()
    finally:
        worker.stop()
    return counts, bad


def main() -> None:
    """Run, print the counts, and exit with 1 if there was a bad case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--first", type=int, default=0, help="the first case's number; to see a case again")
    options = parser.parse_args()
    begin = time.monotonic()
    counts, bad = run(options.first, options.cases, options.seconds)
    print(f"{sum(counts.values())} cases from {options.first} on in {time.monotonic() - begin:.0f} s")
    for outcome, count in counts.most_common():
        print(f"{count:>7}  {outcome}")
    sys.exit(1 if bad or not counts else 0)


if __name__ == "__main__":
    main()
