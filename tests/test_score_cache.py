"""Scores that are kept for calls that ask for the same pairs again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aatm_onnx import Qwen3Reranker
from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.score_cache import Logits, ScoreCache

DOCUMENTS = ["Hypertension", "Hypotension", "高血圧"]


def logits_of(prompts: Sequence[TokenIds]) -> Logits:
    return np.array([[prompt.sum(), -len(prompt)] for prompt in prompts], np.float32).reshape(-1, 2)


@given(calls=st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=12), most=st.integers(0, 6))
def test_it_answers_as_if_it_was_not_there_and_asks_only_for_what_it_does_not_know(
    calls: list[list[int]], most: int
) -> None:
    cache, last = ScoreCache(most), list[int]()  # the prompts that were asked for last, the latest at the end
    for call in calls:
        prompts = [np.arange(number + 1, dtype=np.int32) for number in call]
        asked: list[int] = []

        def score(unknown: Sequence[TokenIds], asked: list[int] = asked) -> Logits:
            asked.extend(len(prompt) - 1 for prompt in unknown)
            return logits_of(unknown)

        found = cache.logits(prompts, score)
        assert np.array_equal(found, logits_of(prompts))
        assert asked == [number for number in call if number not in last]
        known = [number for number in dict.fromkeys(call) if number in last]
        for number in [*known, *(number for number in call if number not in known)]:
            last = [*(each for each in last if each != number), number]
        last = last[-most:] if most else []
        assert len(cache) == len(last)


def test_logits_that_are_not_finite_are_not_kept() -> None:
    cache, prompt = ScoreCache(5), np.arange(3, dtype=np.int32)
    assert np.isnan(cache.logits([prompt], lambda prompts: np.full((1, 2), np.nan, np.float32))).all()
    assert np.array_equal(cache.logits([prompt], logits_of), logits_of([prompt]))


def test_a_reranker_answers_from_it(bundle: Path) -> None:
    plain = Qwen3Reranker(bundle, provider="cpu")
    keeping = Qwen3Reranker(bundle, provider="cpu", cached_scores=3)
    first = keeping.score("high blood pressure", DOCUMENTS)
    other_task = keeping.score("high blood pressure", DOCUMENTS, task="Find the opposite")
    assert first == pytest.approx(plain.score("high blood pressure", DOCUMENTS), abs=1e-6)
    assert other_task == pytest.approx(
        plain.score("high blood pressure", DOCUMENTS, task="Find the opposite"), abs=1e-6
    )
    assert max(abs(a - b) for a, b in zip(first, other_task, strict=True)) > 1e-4
    assert keeping._scorer is not None
    keeping._scorer.session = None  # type: ignore[assignment]  # what is known needs none
    assert keeping.score("high blood pressure", DOCUMENTS[::-1], task="Find the opposite") == other_task[::-1]
    with pytest.raises(AttributeError):
        keeping.score("high blood pressure", DOCUMENTS)
    keeping.close()
    with pytest.raises(ValueError, match="is closed"):
        keeping.score("high blood pressure", DOCUMENTS, task="Find the opposite")
