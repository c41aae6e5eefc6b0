"""Plans that the Python and the JavaScript runtime must make alike: `python -m tests.plan_vectors` writes them anew."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.plan import Budgets, Step, plan

FILE = Path(__file__).parent.parent / "js" / "test" / "data" / "plans.json"

_PYTHON_ONLY = {"leads", "lead", "remembers"}  # the JavaScript runtime runs a query before its candidates


def make_vectors() -> list[dict[str, Any]]:
    """Prompts, known prefixes and budgets of many kinds, each with its plan."""
    draw = random.Random(0)
    return [_vector(draw) for _ in range(30)]


def write_vectors() -> None:
    """Write the file that the tests of the JavaScript package read, one vector a line."""
    lines = ",\n".join(json.dumps(vector, separators=(",", ":")) for vector in make_vectors())
    FILE.write_text(f"[\n{lines}\n]\n", "utf-8")


def _vector(draw: random.Random) -> dict[str, Any]:
    own = _ids(draw, draw.choice([0, 0, 1, 20]))
    prompts = _prompts(draw, own)
    known = [own]
    if draw.random() < 0.5:  # prefixes of earlier calls: one that fits, one that does not
        known += [draw.choice(prompts)[: draw.randrange(1, 128)], own + _ids(draw, 30)]
    if draw.random() < 0.1:
        known = []  # a graph that can't share
    tokens = draw.choice([64, 96, 384])
    budgets = Budgets(tokens, min(tokens, draw.choice([40, 64, 256])), draw.choice([1, 1, 2, 3]))
    steps = plan([_array(prompt) for prompt in prompts], [_array(ids) for ids in known], budgets)
    return {"prompts": prompts, "known": known, "budgets": _plain(budgets), "steps": [_named(step) for step in steps]}


def _prompts(draw: random.Random, own: list[int]) -> list[list[int]]:
    """Different prompts that share what prompts share: the bundle's prefix, a task, queries."""
    prompts: dict[tuple[int, ...], None] = {}
    task = _ids(draw, draw.choice([0, 12, 90]))
    for _ in range(draw.choice([1, 2, 5])):
        query = _ids(draw, draw.choice([3, 20, 150]))
        for _ in range(draw.choice([1, 3, 12])):
            before = own if draw.random() < 0.9 else own[: len(own) // 2]
            prompts[(*before, *task, *query, *_ids(draw, draw.choice([1, 8, 15, 15, 200])))] = None
    return [list(prompt) for prompt in prompts]


def _ids(draw: random.Random, length: int) -> list[int]:
    return [draw.choice([1, 2, 3, 99]) for _ in range(length)]


def _array(ids: list[int]) -> TokenIds:
    return np.asarray(ids, np.int32)


def _named(step: Step) -> dict[str, Any]:
    return {"kind": type(step).__name__.lower(), **_plain(step)}


def _plain(of: Step | Budgets) -> dict[str, Any]:
    return {name: value for name, value in asdict(of).items() if name not in _PYTHON_ONLY}


if __name__ == "__main__":
    write_vectors()
