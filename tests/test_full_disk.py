"""A disk that is full: one sentence that names what can't be written, and nothing that is half there."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aatm_onnx.vocabulary import Concept, build_vocabulary
from aatm_onnx.vocabulary.arrays import mapped_zeros, save_array

from .test_cli import run

# $1 is the disk's size and $2 its folder; what is on it at the end is printed.
_ON_A_DISK = (
    'mount -t tmpfs -o size="$1" none "$2" || exit 77; disk="$2"; shift 2; "$@"; code=$?; ls -A "$disk"; exit $code'
)


def run_on_a_disk(size: str, disk: Path, *arguments: str | Path) -> tuple[int, str, str]:
    """Run the command line where `disk` is a disk of this size; gives exit code, errors, and the files at the end."""
    disk.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "aatm_onnx.cli", *arguments]
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _ON_A_DISK, "sh", size, disk]
    try:
        done = subprocess.run([*namespace, *command], capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        pytest.skip("there is no unshare to make a disk with")
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip(f"no disk can be made here: {done.stderr}")
    return done.returncode, done.stderr, done.stdout


def words(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(letters) for letters in rng.choice(list("abcdefghijklmnopqrstuvwxyz "), (count, 30))]


@pytest.mark.parametrize("size", ["64k", "512k", "900k", "1200k", "1600k"])
def test_a_vocabulary_for_which_the_disk_has_no_room_is_refused_and_leaves_nothing(size: str, tmp_path: Path) -> None:
    """Also where the room ends in the file that is filled in memory, which would end the process by a signal."""
    source = tmp_path / "concepts.csv"
    source.write_text("id,name\n" + "".join(f"{number},{text}x\n" for number, text in enumerate(words(3000))))
    disk = tmp_path / "disk"
    code, errors, left = run_on_a_disk(size, disk, "index", source, "--output", disk / "vocabulary")
    assert (code, left) == (1, "")
    assert errors == f"Error: {disk}/vocabulary: can't be written (No space left on device).\n"


def test_arrays_are_the_files_that_numpy_writes(tmp_path: Path) -> None:
    for array in (np.arange(5, dtype=np.uint32), np.zeros(0, np.int64), np.arange(6.0, dtype=np.float32)[::2]):
        save_array(tmp_path / "ours.npy", array)
        np.save(tmp_path / "numpys.npy", array)
        assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()
    for count in (0, 1, (1 << 20) + 3):
        path = tmp_path / f"zeros-{count}.npy"  # Windows writes no file that is mapped
        zeros = mapped_zeros(path, np.uint32, count)
        assert zeros.shape == (count,) and zeros.dtype == np.uint32 and not zeros.any()
        np.save(tmp_path / "numpys.npy", np.zeros(count, np.uint32))
        assert path.read_bytes() == (tmp_path / "numpys.npy").read_bytes()


def test_a_mapping_says_what_could_not_be_written_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """A limit on files' sizes stands for a full disk."""
    resource = pytest.importorskip("resource")
    vocabulary, terms, output = tmp_path / "vocabulary", tmp_path / "terms.csv", tmp_path / "mapped.jsonl"
    build_vocabulary([Concept(str(number), text) for number, text in enumerate(words(300))], vocabulary)
    terms.write_text("name\n" + "".join(f"{text}x\n" for text in words(300)))
    given = ["map", terms, "--vocabulary", vocabulary, "--model", "retriever", "--format", "jsonl", "--output", output]
    done = run(*given, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (32768, 32768)))
    journal = tmp_path / ".mapped.jsonl.journal"
    assert (done.returncode, output.exists(), journal.stat().st_size) == (1, False, 32768)
    assert done.stderr == f"Error: {journal}: can't be written (File too large).\n"
    assert run(*given).returncode == 0
    assert (len(output.read_text().splitlines()), journal.exists()) == (300, False)


def test_a_mapping_into_a_folder_that_is_not_there_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    build_vocabulary([Concept("1", "Nephrolithiasis")], tmp_path / "vocabulary")
    (tmp_path / "terms.csv").write_text("name\nx\n")
    output = tmp_path / "nowhere" / "mapping.csv"
    given = ["map", str(tmp_path / "terms.csv"), "--vocabulary", str(tmp_path / "vocabulary"), "--model", "retriever"]
    done = run(*given, "--output", output)
    assert (done.returncode, done.stderr) == (1, f"Error: {output}: can't be written: its folder does not exist.\n")
