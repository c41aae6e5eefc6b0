"""The plans that the JavaScript package is tested with are still the Python runtime's."""

import json

from .plan_vectors import FILE, make_vectors


def test_the_committed_plans_are_those_of_today() -> None:
    made = json.loads(json.dumps(make_vectors()))  # tuples become lists
    committed = json.loads(FILE.read_text("utf-8"))
    assert committed == made, "change js/src/runtime/plan.ts too, then run python -m tests.plan_vectors"
    kinds = {step["kind"] for vector in committed for step in vector["steps"]}
    assert kinds == {"begin", "extend", "remember", "score", "free"}
    assert any(step.get("chunks") for vector in committed for step in vector["steps"])
