"""Parquet in and out, stopped and gone on with."""

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

COMMAND = [sys.executable, "-m", "aatm_onnx.cli", "rerank", "--provider", "cpu"]
ROWS, PART_ROWS = 240, 10


def run(*arguments: str | Path | int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of three row groups."""
    draw, words = random.Random(0), ["knee", "left", "right", "pain", "cyst", "renal", "chronic", "acute", "ulcer"]
    path = tmp_path_factory.mktemp("terms") / "terms.parquet"
    table = pa.table(
        {
            "code": list(range(ROWS)),
            "query": [" ".join(draw.choices(words, k=3)) for _ in range(ROWS)],
            "candidates": [[" ".join(draw.choices(words, k=4)) for _ in range(20)] for _ in range(ROWS)],
        }
    )
    pq.write_table(table, path, row_group_size=95)
    return path


@pytest.fixture(scope="module")
def undisturbed(terms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    done = run("--input", terms, "--output", output, "--part-rows", PART_ROWS)
    assert done.returncode == 0, done.stderr
    return output


def expected_of(file: Path) -> list[dict[str, Any]]:
    """Rows with each candidate's score, which may differ by what was in the cache of shared prefixes."""
    rows = pq.read_table(file).to_pylist()
    for row in rows:
        assert row["rank_score"] == sorted(row["rank_score"], reverse=True)
        scores = dict(zip(row.pop("rank_index"), row.pop("rank_score"), strict=True))
        row["scores"] = {index: pytest.approx(score, abs=2e-6) for index, score in scores.items()}
    return rows


def scores_of(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return [row | {"scores": dict(zip(row.pop("rank_index"), row.pop("rank_score"), strict=True))} for row in rows]


def test_parts_are_the_rows_in_order_each_with_its_ranking(terms: Path, undisturbed: Path) -> None:
    names = sorted(path.name for path in undisturbed.iterdir())
    assert len(names) == 25  # 10 + 10 + 5
    ranked, given = pq.read_table(undisturbed), pq.read_table(terms)
    assert ranked.select(given.column_names).equals(given)
    for row in ranked.slice(0, 20).to_pylist():
        assert sorted(row["rank_index"]) == list(range(20))
        assert row["rank_score"] == sorted(row["rank_score"], reverse=True)


@pytest.mark.slow
def test_killed_ten_times_at_any_moment_nothing_is_lost_but_the_part_in_work(
    terms: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output, draw = tmp_path / "out", random.Random(0)
    whole = {path.name: expected_of(path) for path in undisturbed.iterdir()}
    killed = found = 0
    while killed < 10:
        command = [*COMMAND, "--input", terms, "--output", output, "--part-rows", str(PART_ROWS)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and not sum(1 for _ in output.glob("*")) > found and time.monotonic() < deadline:
            time.sleep(0.01)  # until there is work to lose
        time.sleep(draw.uniform(0, 0.1))
        process.kill()
        if process.wait() == 0:
            for path in list(output.glob("*.parquet"))[: 25 - killed]:  # it was faster: begin again, near the end
                path.unlink()
        else:
            killed += 1
        finished = list(output.glob("part-*.parquet"))
        assert all(scores_of(path) == whole[path.name] for path in finished)
        assert len(finished) >= found or process.returncode == 0
        assert len(list(output.glob(".*"))) <= 1
        found = len(finished)
    done = run("--input", terms, "--output", output, "--part-rows", PART_ROWS)
    assert f"25 parts; {found} of them were there already" in done.stderr
    assert {path.name: scores_of(path) for path in output.iterdir()} == whole


@pytest.mark.slow
def test_a_part_of_other_options_or_another_model_is_never_taken(
    terms: Path, undisturbed: Path, bundle: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    first = sorted(undisturbed.iterdir())[0]
    (output / first.name).write_bytes(first.read_bytes())
    others = {"--model": bundle, "--task": "Another", "--top-k": 3, "--part-rows": 20, "--max-length": 99}
    for other in others.items():
        done = run("--input", terms, "--output", output, "--part-rows", PART_ROWS, *other)
        assert (done.returncode, "1 files that are not of this run" in done.stderr) == (1, True), other
    changed = pq.read_table(terms).set_column(0, "code", pa.array([*range(ROWS - 1), 0]))
    pq.write_table(changed, tmp_path / "changed.parquet", row_group_size=95)
    done = run("--input", tmp_path / "changed.parquet", "--output", output, "--part-rows", PART_ROWS, "--threads", "1")
    assert "25 parts; 1 of them were there already" in done.stderr  # only the last row group is another one


def test_a_folder_of_parts_is_an_input_too(undisturbed: Path, tmp_path: Path) -> None:
    command = ("--input", undisturbed, "--output", tmp_path / "out", "--model", "bm25")
    assert "has a column 'rank_index' already" in run(*command).stderr
    given = tmp_path / "in"
    given.mkdir()
    for number, path in enumerate(sorted(undisturbed.iterdir())[:3]):
        pq.write_table(pq.read_table(path).drop_columns(["rank_index", "rank_score"]), given / f"{number}.parquet")
    done = run("--input", given, "--output", tmp_path / "out", "--model", "bm25")
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "out")["code"].to_pylist() == list(range(30))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"PAR1 nothing", "can't be read as Parquet"), (None, "must be a list of texts, not str")],
)
def test_files_that_cant_be_ranked_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is None:
        pq.write_table(pa.table({"query": ["a"], "candidates": ["b"]}), tmp_path / "in.parquet")
    else:
        (tmp_path / "in.parquet").write_bytes(content)
    done = run("--input", tmp_path / "in.parquet", "--output", tmp_path / "out", "--model", "bm25")
    assert done.returncode == 1
    assert message in done.stderr and f"{tmp_path / 'in.parquet'}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert run("--input", tmp_path / "in.parquet").returncode == 2
    onto_a_file = run("--input", tmp_path / "in.parquet", "--output", tmp_path / "in.parquet")
    assert onto_a_file.returncode == 2
    assert "is a file; name a folder for the parts" in onto_a_file.stderr
