"""A journal keeps what was scored, whatever ended the run, for one run at a time."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aatm_onnx.mapping.journal import Journal
from aatm_onnx.mapping.propose import Candidate
from aatm_onnx.vocabulary import Concept, build_vocabulary


def test_a_half_written_line_of_a_journal_is_forgotten(tmp_path: Path) -> None:
    path, candidates = tmp_path / "journal", [Candidate("1", "a", 0.5, 0.25)]
    with Journal(path, {"model": "x"}) as journal:
        journal.append([("one", candidates), ("two", [])])
    path.write_bytes(path.read_bytes() + b'{"text": "three", "cand')
    with Journal(path, {"model": "x"}) as journal:
        assert ("one" in journal, "three" in journal, len(journal)) == (True, False, 2)
        journal.append([("three", candidates)])
        assert (journal["one"], journal["two"], journal["three"]) == (candidates, [], candidates)
    with pytest.raises(ValueError, match="give --restart"):
        Journal(path, {"model": "y"})
    with Journal(path, {"model": "y"}, restart=True) as journal:
        assert len(journal) == 0


def test_the_last_line_of_a_journal_counts_only_with_its_end(tmp_path: Path) -> None:
    path, candidates = tmp_path / "journal", [Candidate("1", "a", 0.5, 0.25)]
    with Journal(path, {"model": "x"}) as journal:
        journal.append([("one", candidates), ("two", candidates)])
    path.write_bytes(path.read_bytes()[:-1])
    with Journal(path, {"model": "x"}) as journal:
        assert ("one" in journal, "two" in journal) == (True, False)
        journal.append([("three", candidates)])
        assert (journal["one"], journal["three"]) == (candidates, candidates)
    with Journal(path, {"model": "x"}) as journal:
        assert len(journal) == 2
    path.write_bytes(b'{"journal": 1, "mod')  # nothing was scored yet
    with Journal(path, {"model": "x"}) as journal:
        journal.append([("one", candidates)])
    with Journal(path, {"model": "x"}) as journal:
        assert journal["one"] == candidates


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
def test_a_journal_is_of_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, {"model": "x"}) as first:
        first.append([("one", [])])
        for restart in (False, True):
            with pytest.raises(ValueError, match="of a run that has not ended"):
                Journal(path, {"model": "x"}, restart=restart)
        assert first["one"] == []
        first.remove()
        with Journal(path, {"model": "x"}) as second:
            assert len(second) == 0
            second.remove()


# $1 may not be written, but $2 is mounted on its mapped.csv, as `docker run -v` does.
_ONE_FILE = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount --bind "$2" "$1/mapped.csv" || exit 77
shift 2
"$@"
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is nothing to mount with")
def test_a_file_whose_folder_may_not_be_written_is_written_without_a_journal(tmp_path: Path) -> None:
    build_vocabulary([Concept("1", "Renal cyst")], tmp_path / "vocabulary")
    (tmp_path / "terms.csv").write_text("name\nrenal cyst\n", "utf-8")
    (tmp_path / "folder").mkdir()
    for empty in ("outer.csv", "folder/mapped.csv"):
        (tmp_path / empty).touch()
    command = ("map", "terms.csv", "--vocabulary", "vocabulary", "--output", "folder/mapped.csv", "--format", "csv")
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _ONE_FILE, "sh", "folder", "outer.csv"),
            *(sys.executable, "-m", "aatm_onnx.cli", *command, "--model", "retriever"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outer.csv").read_text("utf-8").count("Renal cyst") == 2
