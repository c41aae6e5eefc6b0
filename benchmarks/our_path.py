"""This package, timed from token ids to scores, and its memory."""

import time
from pathlib import Path

from aatm_onnx.bundle import open_bundle
from aatm_onnx.prompt import TokenIds
from aatm_onnx.scoring import score_prompts
from aatm_onnx.session import Session, open_session


def seconds(bundle: Path, prompts: list[TokenIds], threads: int) -> float:
    """The best of three runs, none of which finds a beginning that an earlier one left."""
    opened = open_bundle(bundle)
    session = open_session(opened, "cpu", threads)
    best = float("inf")
    for _ in range(3):
        fresh = Session(session.runtime, session.provider, session.head)
        start = time.perf_counter()
        score_prompts(fresh, prompts, opened.manifest.pad_token_id)
        best = min(best, time.perf_counter() - start)
    return best


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
