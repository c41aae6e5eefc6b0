"""The fuzzer itself, for a few cases; `make fuzz` runs ten thousand."""

from .fuzz.__main__ import FOUND, run


def test_a_few_mutated_bundles_and_what_was_found_before() -> None:
    counts, bad = run(first=0, cases=20, seconds=120)
    assert not bad
    assert sum(counts.values()) == 20 + len(FOUND) and counts["refused"] and counts["text cut rightly"]
