"""Arguments are checked at the door, and a query that leaves nothing of its documents is not passed over."""

import enum
import warnings
from typing import Any

import numpy as np
import pytest

from aatm_onnx import Qwen3Reranker, RetrievedExpressionMetadata, RetrieverResults, TooLongError
from aatm_onnx.integrations.cross_encoder import CrossEncoder


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"threads": 1.5}, "threads must be a whole number, not 1.5"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"threads": True}, "threads must be a whole number, not True"),
        ({"max_length": "8"}, "max_length must be a whole number, not '8'"),
        ({"max_length": float("nan")}, "max_length must be a whole number"),
        ({"token_budget": 1}, "token_budget must be at least 64, not 1"),
        ({"token_budget": 1.5}, "token_budget must be a whole number"),
        ({"cached_tokens": -1}, "cached_tokens must be at least 0"),
        ({"cached_tokens": "x" * 10_000}, "cached_tokens must be a whole number, not 'x"),
        ({"task": 3}, "The task must be a string"),
        ({"provider": 3}, "provider must be 'auto', 'cpu' or 'cuda', not 3"),
        ({"max_length": 3}, "max_length is 3, but the prompt's prefix and suffix alone take 3 tokens"),
        ({"max_length": 16}, "max_length is 16, which prefix, task and suffix take alone"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_argument_is_named(argument: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        Qwen3Reranker(**{"provider": "cpu", **argument})
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("task", [3, ["Find the opposite."], b"Find"])
def test_one_query_has_one_task(task: Any) -> None:
    reranker = Qwen3Reranker(provider="cpu")
    for call in (reranker.rank, reranker.score):
        with pytest.raises(ValueError, match=f"The task must be a string, not {type(task).__name__}"):
            call("a", ["b"], task=task)


def test_numpys_integers_are_integers() -> None:
    reranker = Qwen3Reranker(provider="cpu", threads=np.int32(1), max_length=np.int64(200), token_budget=np.uint16(64))
    assert len(reranker.rank("a", ["b", "c"], top_k=np.int8(1))) == 1


def test_a_query_that_leaves_nothing_of_its_documents_is_said() -> None:
    reranker = Qwen3Reranker(provider="cpu", max_length=100)
    documents = ["Gallstones", "", "Nephrolithiasis"]
    with pytest.warns(RuntimeWarning, match=r"Query 1 takes all of the 100 tokens.*equal scores"):
        (_, lost) = reranker.score_pairs(["kidney stones", "kidney stones " * 100], [documents, documents])
    assert len({pair.score for pair in lost}) == 1 and all(pair.truncated for pair in lost)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reranker.score("kidney stones", [*documents, "Renal cyst " * 100])  # cut, but some of it is left
        with pytest.raises(TooLongError, match="Document 0 of query 0 does not fit 100 tokens"):
            reranker.score("kidney stones " * 100, documents, truncate=False)
    with pytest.warns(RuntimeWarning, match="Query 0 takes all"):
        reranker.score("kidney stones", documents, task="x " * 1000)
    with pytest.warns(RuntimeWarning, match="Query 3 takes all"):
        list(reranker.rank_stream([("kidney stones " * many, documents) for many in (1, 1, 1, 100)]))


def test_what_a_reranker_was_opened_with_can_not_be_changed() -> None:
    """Prompts and pickles would not follow."""
    reranker = Qwen3Reranker(provider="cpu", threads=1)
    for name, value in {"task": "Find the opposite.", "max_length": 70, "prefix": "", "provider": "cuda"}.items():
        before = getattr(reranker, name)
        with pytest.raises(AttributeError, match=rf"^{name} of Qwen3Reranker\(.* can't be changed; open another one"):
            setattr(reranker, name, value)
        assert getattr(reranker, name) == before


def test_a_string_of_another_class_is_the_text_that_it_equals() -> None:
    """An enum's member formats as its name."""

    class Term(str, enum.Enum):  # noqa: UP042
        QUERY, DOCUMENT, TASK = "kidney stones", "Nephrolithiasis", "Find the opposite"

    def scored(query: str, document: str, task: str) -> list[object]:
        reranker = Qwen3Reranker(provider="cpu", task=task)
        results = RetrieverResults([query], [[RetrievedExpressionMetadata(document)]])
        return [
            *reranker.score(query, [document]),
            *reranker.score_pairs([query, query], [[document], [document]], task=[None, task]),
            *reranker.rank_stream([(query, [document], task)], task=task),
            (results | reranker).results[0][0].rerank_score,
            CrossEncoder(provider="cpu").predict([(query, document)], prompt=task).tolist(),
        ]

    assert scored(*Term) == scored(*(term.value for term in Term))


def test_tasks_may_come_one_by_one_as_queries_may() -> None:
    reranker = Qwen3Reranker(provider="cpu")
    queries, documents, tasks = ["a", "b"], [["c"], ["d"]], ["e", "f"]
    one_by_one: Any = (iter(queries), iter(documents))
    assert reranker.score_pairs(*one_by_one, task=iter(tasks)) == reranker.score_pairs(queries, documents, task=tasks)
