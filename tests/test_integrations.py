"""What the integrations do without their frameworks: the CrossEncoder shape, and a sentence that says what to install.

`make test-integrations` has the rest, in real pipelines.
"""

import importlib
import sys
from typing import Any

import numpy as np
import pytest

from aatm_onnx import Qwen3Reranker
from aatm_onnx.integrations.cross_encoder import CrossEncoder

QUERY = "kidney stones"
CANDIDATES = ["Bladder stones", "Gallstones", "Renal cyst", "Nephrolithiasis", "Kidney disease", "Headache"]


@pytest.mark.parametrize(
    ("module", "framework", "package"),
    [
        ("haystack", "haystack", "haystack-ai"),
        ("lancedb", "lancedb", "lancedb"),
        ("langchain", "langchain_core", "'langchain-core>=1.2.19'"),
        ("llama_index", "llama_index", "llama-index-core"),
        ("ontoaligner", "ontoaligner", "ontoaligner"),
    ],
)
def test_a_missing_framework_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, framework: str, package: str
) -> None:
    name = f"aatm_onnx.integrations.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    for each in [each for each in sys.modules if each.split(".")[0] == framework]:
        monkeypatch.delitem(sys.modules, each)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ImportError, match=rf"can't be imported \(.*\): pip install {package}$"):
        importlib.import_module(name)


@pytest.fixture(scope="module")
def model() -> CrossEncoder:
    return CrossEncoder(provider="cpu")


def test_pairs_may_come_in_any_order(model: CrossEncoder) -> None:
    pairs = [(query, text) for text in CANDIDATES for query in ("head ache", QUERY)]
    scores = model.predict(pairs, batch_size=3, show_progress_bar=False)
    assert scores.dtype == np.float32 and scores.shape == (12,)
    reranker = Qwen3Reranker(provider="cpu")
    assert np.allclose(scores[::2], reranker.score("head ache", CANDIDATES), atol=1e-6)
    assert np.allclose(scores[1::2], reranker.score(QUERY, CANDIDATES), atol=1e-6)


def test_a_single_pair_gives_a_single_number(model: CrossEncoder) -> None:
    expected = model.reranker.score(QUERY, ["Nephrolithiasis"])[0]
    assert model.predict((QUERY, "Nephrolithiasis")) == pytest.approx(expected, abs=1e-6)
    assert model.predict([]).shape == (0,)
    two = model.predict([(QUERY, "Renal cyst"), (QUERY, "Gallstones")])
    assert two.shape == (2,)


def test_rank_is_theirs(model: CrossEncoder) -> None:
    ranked = model.reranker.rank(QUERY, CANDIDATES)
    assert model.rank(QUERY, CANDIDATES, top_k=2, return_documents=True) == [
        {"corpus_id": index, "score": pytest.approx(score, abs=1e-6), "text": text} for index, score, text in ranked[:2]
    ]
    assert set(model.rank(QUERY, CANDIDATES)[0]) == {"corpus_id", "score"}


def test_older_names_and_arrays_of_strings_are_taken(model: CrossEncoder) -> None:
    pairs = [(QUERY, text) for text in CANDIDATES]
    expected = model.predict(pairs)
    assert np.array_equal(model.predict(sentences=pairs), expected)
    assert np.array_equal(model.predict(inputs=np.array(pairs)), expected)
    task = "Find the opposite."
    assert np.array_equal(model.predict(pairs, None, task), model.predict(pairs, prompt=task))
    ranked = model.rank(QUERY, ["a", "b"], None, False, None, task)
    assert ranked == model.rank(QUERY, ["a", "b"], prompt=task)
    with pytest.raises(TypeError, match="needs pairs"):
        model.predict()


@pytest.mark.parametrize(
    "refused",
    [
        {"apply_softmax": True},
        {"activation_fct": np.tanh},
        {"convert_to_tensor": True},
        {"convert_to_numpy": False},
        {"prompt_name": "query"},
    ],
    ids=lambda refused: next(iter(refused)),
)
def test_what_would_change_the_result_is_refused(model: CrossEncoder, refused: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(refused))} is not supported"):
        model.predict([(QUERY, "a")], **refused)
    with pytest.raises(ValueError, match=f"{next(iter(refused))} is not supported"):
        model.rank(QUERY, ["a"], **refused)


@pytest.mark.parametrize("argument", [{"task": "Find the opposite."}, {"bach_size": 8}, {"processing_kwargs": {}}])
def test_an_argument_that_there_is_not_is_not_ignored(model: CrossEncoder, argument: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"no argument '{next(iter(argument))}'; `prompt` is the instruction"):
        model.predict([(QUERY, "a")], **argument)
    with pytest.raises(TypeError, match=f"no argument '{next(iter(argument))}'"):
        model.rank(QUERY, ["a"], **argument)
    without_meaning: dict[str, Any] = {"batch_size": 8, "show_progress_bar": None, "device": "cpu", "pool": None}
    assert np.array_equal(model.predict([(QUERY, "a")], **without_meaning), model.predict([(QUERY, "a")]))
    assert model.rank(QUERY, ["a"], **without_meaning) == model.rank(QUERY, ["a"])


def test_pairs_may_come_from_any_iterable(model: CrossEncoder) -> None:
    expected = model.predict([(QUERY, text) for text in CANDIDATES])
    assert np.array_equal(model.predict(zip([QUERY] * len(CANDIDATES), CANDIDATES, strict=True)), expected)
    assert np.array_equal(model.predict(iter([[QUERY, text] for text in CANDIDATES])), expected)


class Frame(dict[str, list[str]]):
    """What a table's iterator gives: its columns' names."""

    columns = ("query", "document")


@pytest.mark.parametrize(
    "pairs", [{"query": "a", "document": "b"}, {(QUERY, "a"), (QUERY, "b")}, "ab", Frame(query=["a"], document=["b"])]
)
def test_pairs_without_an_order_or_of_a_table_are_refused(model: CrossEncoder, pairs: Any) -> None:
    with pytest.raises(ValueError, match=f"The pairs must be a list.*, not {type(pairs).__name__}"):
        model.predict(pairs)
    with pytest.raises(ValueError, match="Pair 1 must be two strings"):
        model.predict([(QUERY, "a"), pairs])


def test_what_it_cannot_do_is_refused(model: CrossEncoder) -> None:
    with pytest.raises(ValueError, match="activation_fn is not supported"):
        model.rank(QUERY, ["a"], activation_fn=np.tanh)
    with pytest.raises(ValueError, match="Pair 1 must be two strings"):
        model.predict([(QUERY, "a"), (QUERY, None)])
    with pytest.raises(ValueError, match="Pair 1 must be two strings, a query and a document, not None"):
        model.predict([(QUERY, "a"), None])
    with pytest.raises(ValueError, match="The document of pair 1 is not valid Unicode"):
        model.predict([("a", "a"), (QUERY, "\ud800")])
