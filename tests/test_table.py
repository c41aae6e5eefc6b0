"""Tables in, the same tables out with a ranking more."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aatm_onnx import BM25Reranker, Qwen3Reranker
from aatm_onnx.table import TableReranker

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

QUERIES = ["high blood pressure", "kidney stones", "nothing found", "left knee"]
CANDIDATES = [
    ["Hypotension", "Hypertension", "Hypertensive crisis"],
    ["Gallstones", "Nephrolithiasis"],
    [],
    ["right knee", "left knee", "hip"],
]


def arrow(structs: bool = False) -> Any:
    groups = [[{"id": 1, "expression": text} for text in group] for group in CANDIDATES] if structs else CANDIDATES
    item = pa.struct([("id", pa.int64()), ("expression", pa.string())]) if structs else pa.string()
    columns = {
        "code": pa.array([7, 8, 9, 10], pa.int16()),
        "query": pa.array(QUERIES, pa.large_string()),
        "candidates": pa.array(groups, pa.list_(item)),
        "note": pa.array([None, "b", "c", "d"]).dictionary_encode(),
    }
    return pa.table(columns, metadata={"made": "here"})


@pytest.fixture(scope="module")
def expected() -> list[list[tuple[int, float]]]:
    rankings = Qwen3Reranker(provider="cpu").rank_many(QUERIES, CANDIDATES)
    return [[(row.index, row.score) for row in ranking] for ranking in rankings]


def rankings_of(table: Any) -> list[list[tuple[int, Any]]]:
    """Scores may differ by what another batch changes."""
    rows = zip(table["rank_index"].to_pylist(), table["rank_score"].to_pylist(), strict=True)
    return [[(index, pytest.approx(score, abs=2e-6)) for index, score in zip(*row, strict=True)] for row in rows]


@pytest.mark.parametrize("kind", [None, list, dict, pd.Series])
def test_what_is_no_table_is_refused_in_a_sentence(kind: Any) -> None:
    with pytest.raises(TypeError, match="must be a pyarrow Table or RecordBatch, or a pandas DataFrame, not"):
        TableReranker()(kind and kind())


def test_what_has_a_schema_and_no_columns_is_refused_too() -> None:
    with pytest.raises(TypeError, match="or a pandas DataFrame, not RecordBatchReader"):
        TableReranker("bm25")(arrow().to_reader())


def test_a_kind_of_data_frame_of_ones_own_stays_what_it_is() -> None:
    class Frame(pd.DataFrame):  # type: ignore[name-defined]  # as GeoPandas has one
        @property
        def _constructor(self) -> Any:
            return Frame

    ranked = TableReranker("bm25")(Frame({"query": ["a"], "candidates": [["b", "a"]]}))
    assert type(ranked) is Frame and len(ranked["rank_index"][0]) == 2


@pytest.mark.parametrize("structs", [False, True])
def test_an_arrow_table_keeps_all_it_had(structs: bool, expected: list[Any]) -> None:
    table = arrow(structs)
    ranked = TableReranker(provider="cpu")(table)
    assert expected == rankings_of(ranked)
    assert ranked.select(table.column_names).equals(table)
    assert ranked.schema.metadata == table.schema.metadata
    assert ranked.schema.types[-2:] == [pa.list_(pa.int32()), pa.list_(pa.float64())]


def test_batches_and_slices(expected: list[Any]) -> None:
    rank = TableReranker(provider="cpu")
    (batch,) = arrow().to_batches()
    ranked = rank(batch.slice(1, 2))
    assert isinstance(ranked, pa.RecordBatch)
    assert expected[1:3] == rankings_of(pa.table(ranked))
    assert rank(batch.slice(0, 0)).num_rows == 0


def test_data_frames_whose_lists_come_from_anywhere(expected: list[Any]) -> None:
    frame = pd.DataFrame({"query": QUERIES, "candidates": CANDIDATES}, index=[5, 5, 6, 7])
    for given in (frame, arrow(structs=True).to_pandas()):  # the latter has numpy arrays of dicts
        ranked = TableReranker(provider="cpu")(given)
        assert expected == rankings_of({name: pa.array(ranked[name].tolist()) for name in ("rank_index", "rank_score")})
        assert ranked[given.columns].equals(given)
        assert TableReranker("bm25")(given[:0]).dtypes.equals(ranked.dtypes)  # an empty partition is like the others


def test_only_the_best_and_other_names() -> None:
    table = arrow().rename_columns({"query": "term", "candidates": "found"})
    rank = TableReranker("bm25", query="term", candidates="found", top_k=1, index="order", score="bm25")
    assert rank(table)["order"].to_pylist()[3] == [1]
    assert rank(table)["bm25"].to_pylist()[2] == []


def test_a_task_for_each_row(bundle: Path) -> None:
    table = arrow().append_column("task", pa.array([None, "Find the opposite", None, None]))
    usual, own = (TableReranker(bundle, provider="cpu", task=task)(table) for task in (None, "task"))
    rows = zip(usual["rank_score"].to_pylist(), own["rank_score"].to_pylist(), strict=True)
    assert [one == pytest.approx(other, abs=2e-6) for one, other in rows] == [True, False, True, True]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query": ["a"]}, "no column 'candidates'; its columns are query"),
        ({"query": ["a"], "candidates": ["b"]}, "Row 0: 'candidates' must be a list of texts, not str"),
        (
            {"query": ["a", "b"], "candidates": [["b"], [None]]},
            "Row 1: each of 'candidates' must be a string",
        ),
        (
            {"query": ["a"], "candidates": [[{"name": "b"}]]},
            "each of 'candidates' must have a string 'expression'",
        ),
        ({"query": [None], "candidates": [["b"]]}, "Query 0 must be a string, not NoneType"),
        ({"query": ["a"], "candidates": [["b"]], "rank_score": [1]}, "has a column 'rank_score' already"),
    ],
)
def test_a_table_that_cant_be_ranked_is_one_sentence(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TableReranker("bm25")(pa.table(columns))


def test_what_a_row_can_not_mean_is_refused() -> None:
    frame = pd.DataFrame({"query": ["a"], "candidates": [{"b", "c"}]})
    with pytest.raises(ValueError, match="Row 0: 'candidates' must be a list of texts, not set"):
        TableReranker("bm25")(frame)  # it has no order, so an index says nothing
    table = pa.table({"query": ["a", "b"], "candidates": [["b"], ["c"]], "task": pa.array([None, 5])})
    for given in (table, table.to_pandas()):
        with pytest.raises(ValueError, match="Task 1 must be a string, not"):
            TableReranker("bm25", task="task")(given)


def test_a_row_without_candidates_has_no_ranking() -> None:
    table = pa.table({"query": ["a", "b"], "candidates": pa.array([None, ["b"]], pa.list_(pa.string()))})
    assert TableReranker("bm25")(table)["rank_index"].to_pylist() == [[], [0]]
    assert TableReranker("bm25")(table.to_pandas())["rank_index"].tolist() == [[], [0]]
    for null in (float("nan"), pd.NA):
        frame = pd.DataFrame({"query": ["a", "b"], "candidates": [null, ["b"]]})
        assert TableReranker("bm25")(frame)["rank_index"].tolist() == [[], [0]]


@pytest.mark.parametrize("name", ["query", "candidates"])
def test_a_column_that_is_there_twice_is_one_sentence(name: str) -> None:
    columns = {"query": ["a"], "candidates": [["b"]]}
    table = pa.table(columns).append_column(name, pa.array(columns[name]))
    for given in (table, table.to_pandas()):
        with pytest.raises(ValueError, match=f"The table has more than one column '{name}'; give each a name"):
            TableReranker("bm25")(given)


def test_pickled_ones_share_one_reranker_and_no_fallback_mixes_scores() -> None:
    rank = TableReranker(provider="cpu", threads=1, top_k=2)
    again = pickle.loads(pickle.dumps(rank))
    assert again.reranker is rank.reranker
    assert again(arrow()).equals(rank(arrow()))
    assert len(pickle.dumps(rank)) < 1000


def test_threads_that_come_first_together_open_one_reranker(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def load(*arguments: Any, **options: Any) -> BM25Reranker:
        opened.append(arguments)
        time.sleep(0.1)
        return BM25Reranker()

    monkeypatch.setattr("aatm_onnx.table.load_reranker", load)
    rank = TableReranker("a model that nothing else opens")
    with ThreadPoolExecutor(4) as threads:  # of a Dask worker
        assert len(list(threads.map(rank, [arrow()] * 4))) == 4
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fallback": "bm25"}, "no fallback"),
        ({"index": "rank", "score": "rank"}, "can't both be called 'rank'"),
        ({"top_k": 0}, "must be at least 1, not 0"),
    ],
)
def test_what_no_table_could_change_is_refused_before_a_worker_has_it(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TableReranker(**options)
