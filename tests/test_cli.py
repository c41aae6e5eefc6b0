"""The command line, run as a user runs it."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

CANDIDATES = ["Hypotension", "Hypertension", "Hypertensive crisis"]


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aatm_onnx.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_arguments_in_a_table_out() -> None:
    done = run("rerank", "Hypertension now", *CANDIDATES, "--model", "bm25-reranker")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "Hypertension now"
    assert lines[1].split()[2:] == ["Hypertension", "(was", "2)"]


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_candidates_from_a_file_or_standard_input(tmp_path: Path, way: str) -> None:
    (tmp_path / "candidates.txt").write_text("\n".join(CANDIDATES) + "\n\n", "utf-8")
    name = tmp_path / "candidates.txt" if way == "file" else "-"
    with (tmp_path / "candidates.txt").open() as stdin:
        done = run(
            *("rerank", "Hypertension", "--candidates-file", name, "--model", "bm25-reranker", "--format", "jsonl"),
            *("--top-k", "2"),
            stdin=stdin,
        )
    (row,) = map(json.loads, done.stdout.splitlines())
    assert row["query"] == "Hypertension"
    assert [result["index"] for result in row["results"]] == [1, 0]


def test_jsonl_in_jsonl_out_keeps_further_fields(tmp_path: Path, bundle: Path) -> None:
    lines = [
        {"query": "high blood pressure", "candidates": [{"expression": text, "id": text[:5]} for text in CANDIDATES]},
        {"query": "nothing found", "candidates": []},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    output = tmp_path / "out.jsonl"
    done = run(
        *("rerank", "--input", tmp_path / "in.jsonl", "--model", bundle, "--format", "jsonl", "--output", output),
        *("--provider", "cpu"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, second = map(json.loads, output.read_text("utf-8").splitlines())
    assert sorted(result["expression"] for result in first["results"]) == sorted(CANDIDATES)
    assert all(result["id"] == result["expression"][:5] for result in first["results"])
    scores = [result["rerank_score"] for result in first["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    assert second == {"query": "nothing found", "results": []}


def test_csv_in_csv_out(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("source,code,name\na b,1,a\na b,2,b a\nc,3,c\n", "utf-8")
    done = run(
        *("rerank", "--input", tmp_path / "in.csv", "--query-column", "source", "--candidate-column", "name"),
        *("--model", "bm25-reranker", "--format", "csv"),
    )
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [(row["query"], row["rank"], row["expression"], row["code"]) for row in rows] == [
        ("a b", "1", "b a", "2"),
        ("a b", "2", "a", "1"),
        ("c", "1", "c", "3"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.jsonl", '{"query": "a", "candidates": ["b"]}\nnot json\n', "in.jsonl, line 2: not JSON"),
        ("in.jsonl", '{"query": "a", "candidates": ["b", null]}\n', "line 1: candidate 1"),
        ("in.jsonl", '{"candidates": []}\n', "line 1: expected an object"),
        ("in.jsonl", '{"query": "a\\ud83d", "candidates": ["b"]}\n', "line 1: the query is not valid Unicode"),
        ("in.jsonl", '{"query": "a", "candidates": ["b", "\\ud83d"]}\n', "line 1: candidate 1 is not valid Unicode"),
        (
            "in.jsonl",
            '{"query": "a", "candidates": [{"expression": "b", "note": "\\ud83d"}]}\n',
            "line 1: a field of candidate 0 is not valid Unicode",
        ),
        ("in.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("in.csv", "query,name\na,b\n", "no column 'candidate'"),
        ("in.csv", "query,candidate\na\n", "line 2: the row is shorter"),
        ("in.csv", "query,candidate\nkidney,Pain, acute\n", "line 2: the row is longer than the header"),
        ("in.csv", "\nquery;candidate\nkidney;Pain; acute\n", "line 3: the row is longer than the header"),
        ("in.csv", 'query,candidate\na,"b\na,c\n', "line 3: not CSV (unexpected end of data); is a quote left open?"),
        ("in.csv", "query,candidate\na,b\nc,d\na,e\n", "line 4: rows of the query 'a' also stand further above"),
        ("in.csv", "query,candidate,x,x\na,b,c,d\n", "in.csv has more than one column 'x'"),
        ("in.csv", "query,query,candidate\na,b,c\n", "in.csv has more than one column 'query'"),
        ("in.jsonl", '{"query": "a", "candidates": ["b"], "task": 3}\n', 'line 1: "task" must be a string'),
        ("in.csv", "", "no column 'query'; its columns are none"),
    ],
)
def test_bad_input_is_one_sentence_that_says_where(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    output = tmp_path / "out.csv"
    done = run("rerank", "--input", tmp_path / name, "--model", "bm25-reranker", "--output", output)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not list(tmp_path.glob("*out*"))


def test_where_standard_output_is_closed_only_a_file_can_be_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "aatm_onnx.cli", "rerank", "--model", "bm25-reranker", "a", "a"]
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(closed, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "Error: Standard output is closed; name a file with --output.\n")
    subprocess.run([*closed, "--output", tmp_path / "out"], check=True, timeout=120)
    assert (tmp_path / "out").exists()


def test_further_fields_are_kept_whatever_they_are_called(tmp_path: Path) -> None:
    items = [{"expression": "b", "rerank_score": None, "index": "X7"}, {"expression": "a b", "rank": "x", "id": 5}]
    lines = [
        {"query": "nothing", "candidates": []},
        {"query": "a", "id": 7, "results": {"of": ["é"]}, "candidates": items},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    command = ("rerank", "--input", tmp_path / "in.jsonl", "--model", "bm25-reranker", "--format")
    _, ranked = map(json.loads, run(*command, "jsonl").stdout.splitlines())
    assert (ranked["id"], ranked["input_results"]) == (7, {"of": ["é"]})
    assert [type(row["rerank_score"]) for row in ranked["results"]] == [float, float]
    assert {row["expression"]: row["index"] for row in ranked["results"]} == {"b": 0, "a b": 1}
    assert {row["expression"]: row.get("input_index") for row in ranked["results"]} == {"b": "X7", "a b": None}
    second, first = csv.DictReader(run(*command, "csv").stdout.splitlines())
    own = ["query", "rank", "rerank_score", "index", "expression"]
    further = ["query_id", "query_results", "input_rerank_score", "input_index", "input_rank", "id"]
    assert list(first) == own + further
    assert [first[name] for name in further] == ["7", '{"of": ["é"]}', "", "", "x", "5"]
    assert [second[name] for name in further] == ["7", '{"of": ["é"]}', "", "X7", "", ""]


def test_the_output_is_of_the_format_that_its_name_says(tmp_path: Path) -> None:
    command = ("rerank", "nails", "small nails", "big nails", "--model", "bm25", "--output")
    for name in ("out.jsonl", "out.csv", "out.txt", "out.tsv"):
        run(*command, tmp_path / name)
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8"))["query"] == "nails"
    assert (tmp_path / "out.csv").read_text("utf-8").startswith("query,rank,")
    assert (tmp_path / "out.txt").read_text("utf-8") == (tmp_path / "out.tsv").read_text("utf-8")
    run(*command, tmp_path / "told.csv", "--format", "jsonl")
    assert json.loads((tmp_path / "told.csv").read_text("utf-8"))
    refused = run(*command, tmp_path / "out.parquet", check=False)
    assert refused.returncode == 2 and "Parquet is written from Parquet only" in refused.stderr


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("way", ["file", "pipe"])
@pytest.mark.parametrize("first", ["", "sep=@"])
def test_csv_is_read_as_spreadsheets_of_all_countries_save_it(
    tmp_path: Path, separator: str, way: str, first: str
) -> None:
    lines = ("\ufeff" + first, " ", "query@candidate@note", 'kidney@"Pain, acute; or\tnot"@1', "kidney@Kidney@2")
    text = "\r\n".join(lines).replace("@", separator)
    path = tmp_path / ("in.tsv" if separator == "\t" else "in.csv")
    path.write_text(text, "utf-8", newline="")
    piped: dict[str, Any] = {"input": text, "encoding": "utf-8"} if way == "pipe" else {}
    source = ("-", "--input-format", "csv") if piped else (path,)
    done = run("rerank", "--model", "bm25", "--format", "csv", "--input", *source, **piped)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [(row["expression"], row["note"]) for row in rows] == [("Pain, acute; or\tnot", "1"), ("Kidney", "2")]


def test_columns_of_a_csv_are_kept_whatever_they_are_called(tmp_path: Path) -> None:
    text = "source,candidate,query,index,input_index,rank,expression\na,b,Q,901,9,7,E\n"
    (tmp_path / "in.csv").write_text(text, "utf-8")
    command = ("rerank", "--input", tmp_path / "in.csv", "--query-column", "source", "--model", "bm25", "--format")
    (row,) = csv.DictReader(run(*command, "csv").stdout.splitlines())
    kept = {"input_query": "Q", "input_index": "9", "input_input_index": "901", "input_rank": "7"}
    assert row.items() >= {**kept, "input_expression": "E", "query": "a", "expression": "b", "index": "0"}.items()


def test_line_ends_inside_quotes_are_kept(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b'query,candidate,note\r\na,b,"x\r\ny"\r\n')
    command = ("rerank", "--input", tmp_path / "in.csv", "--model", "bm25-reranker", "--format", "csv")
    assert run(*command, "--output", tmp_path / "out.csv").returncode == 0
    assert b'"x\r\ny"' in (tmp_path / "out.csv").read_bytes()


def test_output_through_a_link_and_into_a_pipe(tmp_path: Path) -> None:
    command = ("rerank", "a", "b", "--model", "bm25-reranker", "--format", "csv", "--output")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert run(*command, tmp_path / "link").returncode == 0
    (tmp_path / "real").chmod(0o600)
    assert run(*command, tmp_path / "link").returncode == 0
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text().startswith("query,")
    pipe, received = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    reader.start()
    assert run(*command, pipe).returncode == 0
    reader.join(10)
    assert pipe.is_fifo() and received[0].startswith("query,")


def test_info_takes_the_names_that_rerank_takes() -> None:
    assert run("info", "default").stdout == run("info").stdout
    assert "no bundle of Qwen/Qwen3-Reranker-8B" in run("info", "qwen3-reranker-8b").stderr


def test_spreadsheets_byte_order_mark_is_not_part_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes("query,candidate\nfiè,vre\n".encode("utf-8-sig"))
    done = run("rerank", "--input", tmp_path / "in.csv", "--model", "bm25-reranker", "--format", "csv")
    assert done.stdout.splitlines()[1].startswith("fiè,1,")
    (tmp_path / "in.csv").write_bytes("query,candidate\nfiè,vre\n".encode("latin-1"))
    done = run("rerank", "--input", tmp_path / "in.csv", "--model", "bm25-reranker", "--format", "csv")
    assert done.returncode == 1
    assert "in.csv is not UTF-8" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["query"], ["--no-such-option"], ["q", "c", "--top-k", "0"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert run("rerank", *arguments).returncode == 2


def test_a_model_that_is_not_there_is_exit_code_1_and_has_a_fallback(tmp_path: Path) -> None:
    done = run("rerank", "a", "a", "--model", "qwen3-reranker-8b", cwd=tmp_path)
    assert done.returncode == 1
    assert "aatm-onnx export" in done.stderr
    done = run("rerank", "a", "a", "--model", "qwen3-reranker-8b", "--fallback", "bm25", cwd=tmp_path)
    assert done.returncode == 0
    assert "BM25 takes its place" in done.stderr


def test_interrupting_leaves_with_130_and_no_half_file(tmp_path: Path, bundle: Path) -> None:
    lines = [json.dumps({"query": f"query {n}", "candidates": CANDIDATES * 20}) for n in range(2000)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), "utf-8")
    output = tmp_path / "out.csv"
    command = [sys.executable, "-m", "aatm_onnx.cli", "rerank", "--input", tmp_path / "in.jsonl", "--model", bundle]
    process = subprocess.Popen(
        [*command, "--format", "csv", "--output", output],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.csv.partial-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Interrupted" in stderr
    assert "Traceback" not in stderr
    assert not list(tmp_path.glob("*out.csv*"))


def test_info_names_the_model_and_what_runs_it(bundle: Path) -> None:
    done = run("info", bundle)
    assert done.returncode == 0
    assert "Qwen3, 3 layers, hidden 64" in done.stdout
    assert "standard, fp32" in done.stdout


def test_verify_proves_a_bundle_on_this_machine(bundle: Path, checkpoint: Path) -> None:
    done = run("verify", bundle, "--provider", "cpu", "--against", checkpoint)
    assert done.returncode == 0, done.stderr
    assert "model.onnx: sha256 is right" in done.stdout
    assert done.stdout.count("scores differ by at most") == 2


def test_verify_finds_a_bundle_of_another_checkpoint(bundle: Path, other_checkpoint: Path) -> None:
    done = run("verify", bundle, "--provider", "cpu", "--against", other_checkpoint)
    assert done.returncode == 1
    assert "does not compute the scores" in done.stderr


def test_export_from_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    done = run("export", checkpoint, "--output", tmp_path / "bundle", "--precision", "fp16")
    assert done.returncode == 0, done.stderr
    assert run("verify", tmp_path / "bundle", "--provider", "cpu").returncode == 0
    again = run("export", checkpoint, "--output", tmp_path / "bundle")
    assert again.returncode == 1
    assert "--force" in again.stderr


def test_a_command_imports_only_what_it_needs() -> None:
    code = """
import sys
from aatm_onnx.cli.commands import cli
cli.main(["rerank", "a", "a", "--model", "bm25"], standalone_mode=False)
loaded = {name for name in sys.modules if name.startswith("aatm_onnx.cli.")}
assert "aatm_onnx.cli.rerank" in loaded and "aatm_onnx.cli.export" not in loaded, loaded
assert not {"onnxruntime", "starlette", "pyarrow"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_command_that_is_listed_can_be_called() -> None:
    listed = [
        line.split()[0] for line in run("--help").stdout.partition("Commands:")[2].splitlines() if line[2:3].strip()
    ]
    assert {"rerank", "info", "verify", "export"} <= set(listed)
    for name in listed:
        assert run(name, "--help").stdout.startswith(f"Usage: aatm-onnx {name}"), name
