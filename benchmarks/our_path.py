"""This package, timed from token ids to scores, and its memory."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from workloads import WORKLOADS

from aatm_onnx.bundle import HEAD_FILE, open_bundle
from aatm_onnx.prompt import TokenIds
from aatm_onnx.scoring import score_prompts
from aatm_onnx.session import open_session

_ENOUGH_SECONDS = 20.0


def head_of(bundle: Path) -> list[int]:
    """What a bundle's prompts begin with, if it carries the keys and values of that, as a real prompt does begin."""
    file = bundle / HEAD_FILE
    return np.load(file)["ids"].tolist() if file.exists() else []


def seconds(bundle: Path, prompts: list[TokenIds], threads: int) -> float:
    """The best of three runs, or of as many as begin within 20 seconds; none finds what an earlier one left."""
    opened = open_bundle(bundle)
    session = open_session(opened, "cpu", threads)
    score_prompts(replace(session), prompts[:20], opened.manifest.pad_token_id)  # the first run takes memory
    taken: list[float] = []
    while len(taken) < 3 and sum(taken) < _ENOUGH_SECONDS:
        fresh = replace(session)
        start = time.perf_counter()
        score_prompts(fresh, prompts, opened.manifest.pad_token_id)
        taken.append(time.perf_counter() - start)
    return min(taken)


def memory_and_loading(bundle: Path, prompts: list[TokenIds], threads: int) -> dict[str, float]:
    """Seconds from nothing to the first score; MB resident after loading, and at most while scoring all prompts."""
    start = time.perf_counter()
    opened = open_bundle(bundle)
    session = open_session(opened, "cpu", threads)
    loaded = _resident("VmRSS")
    score_prompts(session, prompts[:1], opened.manifest.pad_token_id)
    first_score = time.perf_counter() - start
    score_prompts(session, prompts, opened.manifest.pad_token_id)
    return {"to the first score, s": first_score, "loaded, MB": loaded, "peak, MB": _resident("VmHWM")}


def _resident(field: str) -> float:
    """MB from /proc/self/status (Linux)."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith(field))


if __name__ == "__main__":  # an int8 bundle of bench.py's, in an environment that has the CPU runtime alone
    bundle = Path(sys.argv[1])
    measured = memory_and_loading(bundle, WORKLOADS["T"].prompts(head_of(bundle)), threads=2)
    for name, figure in measured.items():
        print(f"{name}: {figure:.2f}")
