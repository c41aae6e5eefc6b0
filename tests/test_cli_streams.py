"""The command line on streams: long input, closed streams, foreign code pages, terminals."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "aatm_onnx.cli", "rerank", "--model", "bm25"]
TWO = b'{"query": "a", "candidates": ["b", "a"]}\n{"query": "c", "candidates": [{"expression": "d", "id": 7}]}\n'


def run(*arguments: str | Path, stdin: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], input=stdin, capture_output=True, timeout=60, **options)


def shell(redirection: str, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60)


def test_the_first_ranking_comes_before_the_input_has_ended() -> None:
    command = [*COMMAND, "--input", "-", "--input-format", "jsonl", "--format", "jsonl"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(TWO.splitlines(keepends=True)[0])
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["query"] == "a"
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_fault_in_the_last_line_stops_a_file_before_it_begins_and_a_pipe_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(TWO + b"not json\n")
    to_file = run("--input", tmp_path / "in.jsonl", "--format", "jsonl", "--output", tmp_path / "out")
    assert (to_file.returncode, b"line 3: not JSON" in to_file.stderr) == (1, True)
    assert not (tmp_path / "out").exists()
    to_pipe = run("--input", tmp_path / "in.jsonl", "--format", "jsonl")
    assert (to_pipe.returncode, b"line 3: not JSON" in to_pipe.stderr) == (1, True)
    assert json.loads(to_pipe.stdout.splitlines()[0])["query"] == "a"


@pytest.mark.parametrize("redirection", ["2>&-", "2>&- <&0", ""])
def test_no_output_is_lost_where_standard_error_is_closed(redirection: str) -> None:
    lines = b'{"query": "a", "candidates": ["b"]}\n' * 40
    done = shell(redirection, "--input", "-", "--input-format", "jsonl", "--format", "jsonl", stdin=lines)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 40)


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = shell(">&- 2>&-", "q", "a", "--output", output, "--format", "csv", "--fallback", "bm25", "--model", "none")
    assert done.returncode == 0
    assert output.read_text().startswith("query,rank")  # and not the warning, written to number 2


@pytest.mark.parametrize("option", ["--candidates-file", "--input"])
def test_closed_standard_input_is_named(option: str) -> None:
    further = ["--input-format", "csv"] if option == "--input" else ["query"]
    done = shell("<&-", option, "-", *further)
    assert (done.returncode, done.stderr) == (1, b"Error: Standard input is closed; name a file.\n")


def test_jsonl_and_csv_are_utf8_in_any_code_page_and_a_table_replaces() -> None:
    windows = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    texts = ["Fièvre", "発熱"]
    ranked = run("Fièvre", *texts, "--format", "jsonl", env=windows).stdout
    assert {row["expression"] for row in json.loads(ranked.decode("utf-8"))["results"]} == set(texts)
    again = run(
        "--input", "-", "--input-format", "jsonl", stdin=b'{"query": "x", "candidates": ["\xe7\x99\xba"]}', env=windows
    )
    assert (again.returncode, "?" in again.stdout.decode("cp1252")) == (0, True)
    rows = list(
        csv.DictReader(io.StringIO(run("Fièvre", *texts, "--format", "csv", env=windows).stdout.decode("utf-8")))
    )
    assert {row["expression"] for row in rows} == set(texts)


def test_a_letter_that_the_code_page_lacks_does_not_make_a_done_command_fail(tmp_path: Path) -> None:
    (tmp_path / "concepts.csv").write_text("id,name\n1,a\n", "utf-8")
    command = [*COMMAND[:3], "index", tmp_path / "concepts.csv", "--output", tmp_path / "発熱"]
    windows = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, timeout=60, env=windows)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"??: 1 concepts, 1 names\n")


def test_jsonl_from_a_pipe_to_csv_has_every_querys_columns() -> None:
    done = run("--input", "-", "--input-format", "jsonl", "--format", "csv", stdin=TWO)
    assert done.stdout.splitlines()[0] == b"query,rank,rerank_score,index,expression,id"
    assert done.stdout.splitlines()[-1].endswith(b",d,7")


def test_a_dash_is_standard_output_as_it_is_standard_input(tmp_path: Path) -> None:
    line = b'{"query": "q", "candidates": ["a", "q"]}\n'
    asked = ("--input", "-", "--input-format", "jsonl", "--format", "jsonl")
    done = run(*asked, "--output", "-", stdin=line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == run(*asked, stdin=line).stdout != b""
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="open streams have no names there")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
def test_the_name_of_an_open_stream_is_not_that_of_the_file_behind_it(tmp_path: Path, name: str) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    done = shell(f">> '{log}'", "q", "a", "--format", "csv", "--output", name)
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[0] for line in log.read_text().splitlines()] == ["before", "query", "q"]


def test_control_characters_and_newlines_never_reach_the_table() -> None:
    done = run("a\x1b]0;owned\x07", "b\nc", "\x9b31m", "\u202etxt")
    assert len(done.stdout.splitlines()) == 5
    assert b"\\x1b]0;owned\\x07" in done.stdout and b"b\\nc" in done.stdout and b"\\u202etxt" in done.stdout
    for character in "\x1b", "\x07", "\x9b", "\u202e":
        assert character not in done.stdout.decode()
    failed = run("--input", "x\x1b[31m.csv")
    assert failed.returncode == 2 and b"\x1b" not in failed.stderr


def test_jsonl_escapes_what_json_leaves_as_it_is_and_reads_it_back() -> None:
    done = run("a", "\x9b31m", "--format", "jsonl")
    assert b"\\u009b" in done.stdout
    assert json.loads(done.stdout)["results"][0]["expression"] == "\x9b31m"


def test_a_terminal_shows_how_far_the_input_is_read(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(TWO * 20)
    ours, theirs = pty.openpty()
    command = [*COMMAND, "--input", tmp_path / "in.jsonl", "--format", "jsonl", "--output", tmp_path / "out"]
    with subprocess.Popen(command, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while process.poll() is None:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
    assert process.returncode == 0
    assert b"Reranking" in shown and b"100%" in shown
    assert len((tmp_path / "out").read_bytes().splitlines()) == 40


def test_fields_of_any_length(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"query,candidate\na,{'b' * 300_000}\n", "utf-8")
    done = run("--input", tmp_path / "in.csv", "--format", "jsonl")
    assert len(json.loads(done.stdout)["results"][0]["expression"]) == 300_000


def test_a_file_that_cant_be_written_is_named(tmp_path: Path) -> None:
    full = shell(">/dev/full", "a", "b")
    assert (full.returncode, full.stderr) == (
        1,
        b"Error: standard output: can't be written (No space left on device).\n",
    )
    (tmp_path / "loop").symlink_to("loop")
    loop = run("a", "b", "--output", tmp_path / "loop")
    assert loop.returncode == 1
    assert loop.stderr.decode().startswith(f"Error: {tmp_path / 'loop'}: ")


def test_tasks_details_and_pairs_that_are_cut(tmp_path: Path, bundle: Path) -> None:
    long = "word " * 100
    lines = [
        {"query": "a", "candidates": ["b", long], "task": "Find the opposite"},
        {"query": "a", "candidates": ["b", long]},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    command = [
        *("--model", bundle, "--provider", "cpu", "--input", tmp_path / "in.jsonl", "--format", "jsonl"),
        *("--max-length", "120"),
    ]
    done = run(*command)
    own, usual = map(json.loads, done.stdout.splitlines())
    assert own["task"] == "Find the opposite" and "task" not in usual
    scores = [{row["index"]: row["rerank_score"] for row in line["results"]} for line in (own, usual)]
    assert scores[0][0] != scores[1][0]
    assert [[row.get("truncated", False) for row in sorted(line["results"], key=lambda row: row["index"])]
            for line in (own, usual)] == [[False, True]] * 2  # fmt: skip
    assert b"2 of 4 pairs were cut to fit the model; JSONL marks them" in done.stderr
    alike = run(
        "--model",
        bundle,
        "--provider",
        "cpu",
        "--task",
        "Find the opposite",
        "a",
        "b",
        "--format",
        "jsonl",
        "--details",
    )
    (row,) = json.loads(alike.stdout)["results"]
    assert row["rerank_score"] == pytest.approx(scores[0][0], abs=1e-6)
    assert row["tokens"] > 20 and row["truncated"] is False and isinstance(row["logit"], float)
    refused = run(*command, "--no-truncate")
    assert refused.returncode == 1
    assert "in.jsonl, line 1: candidate 1 does not fit" in refused.stderr.decode()
