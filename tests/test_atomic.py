"""Files and folders that appear whole or not at all, whatever happens to who makes them."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from aatm_onnx.atomic import move_folder, partial_folder, remove_leftovers, whole_file

MAKES_A_FOLDER = """
import sys, time
from pathlib import Path
from aatm_onnx.atomic import partial_folder
with partial_folder(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("half")
    print(folder, flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with whole_file(output) as stream:
        stream.write(b"new")
        assert not output.exists()
    assert output.read_bytes() == b"new"
    with pytest.raises(KeyError), whole_file(output) as stream:
        stream.write(b"half")
        raise KeyError
    assert output.read_bytes() == b"new"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV])
def test_what_cant_be_replaced_is_written_in_place(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(self: Path, target: Path) -> Path:
        raise OSError(number, os.strerror(number), str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", replace)
    (tmp_path / "out").write_bytes(b"a longer old text")
    with whole_file(tmp_path / "out") as stream:
        stream.write(b"new")
    assert (tmp_path / "out").read_bytes() == b"new"
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting is for root")
def test_a_file_that_is_mounted_on_its_own_is_written(tmp_path: Path) -> None:
    (tmp_path / "outer").write_text("old")
    (tmp_path / "mounted").write_text("")
    if subprocess.run(
        ["mount", "--bind", tmp_path / "outer", tmp_path / "mounted"], stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with whole_file(tmp_path / "mounted") as stream:
            stream.write(b"new")
    finally:
        subprocess.run(["umount", tmp_path / "mounted"], check=True)
    assert (tmp_path / "outer").read_text() == "new"
    assert names(tmp_path) == ["mounted", "outer"]


def test_a_finished_file_that_finds_no_place_is_kept_and_named(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(OSError, match="the result is in") as caught, whole_file(output) as stream:
        stream.write(b"hours of work")
        (output / "in the way").mkdir(parents=True)
    kept = Path(str(caught.value.strerror).rsplit(" ", 1)[1].rstrip(")"))
    assert caught.value.filename == str(output)
    assert kept.read_bytes() == b"hours of work"
    remove_leftovers(output)
    assert kept.exists()


def test_links_in_a_circle_and_missing_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for output in (tmp_path / "a", tmp_path / "missing" / "out"):
        with pytest.raises(OSError) as caught, whole_file(output):
            raise AssertionError("nothing can be written here")
        assert caught.value.filename == str(output)


def test_a_killed_makers_folder_is_removed_by_the_next_run_and_a_living_ones_is_not(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    command = [sys.executable, "-c", MAKES_A_FOLDER, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        left = Path(maker.stdout.readline().strip())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            remove_leftovers(target)
        assert left.exists()
        maker.send_signal(signal.SIGKILL)
    with pytest.warns(UserWarning, match=left.name):
        remove_leftovers(target)
    assert names(tmp_path) == []


def test_a_folder_killed_between_two_names_is_put_back(tmp_path: Path) -> None:
    target, aside = tmp_path / "bundle", tmp_path / ".bundle.old-0badcafe"
    aside.mkdir()
    with pytest.warns(UserWarning, match="was put back"):
        remove_leftovers(target)
    assert names(tmp_path) == ["bundle"]


def test_a_maker_killed_before_it_held_its_lock_leaves_nothing_for_long(tmp_path: Path) -> None:
    (tmp_path / ".out.new-0badcafe").touch()
    (tmp_path / ".out.new-0badcaff").mkdir()
    remove_leftovers(tmp_path / "out")
    assert names(tmp_path) == []


def test_what_is_removed_before_its_maker_held_its_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = Path.touch

    def touched_and_removed(path: Path, *, exist_ok: bool) -> None:
        monkeypatch.undo()  # only the first is removed
        touch(path, exist_ok=exist_ok)
        remove_leftovers(tmp_path / "out")
        assert names(tmp_path) == []

    monkeypatch.setattr(Path, "touch", touched_and_removed)
    with whole_file(tmp_path / "out") as stream:
        stream.write(b"x")
    assert names(tmp_path) == ["out"]


def test_other_names_are_left_alone(tmp_path: Path) -> None:
    others = [".bundle.partial", ".bundle.older-1", ".bundle2.partial-12345678", "bundle.partial-12345678"]
    for name in others:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "bundle")
    assert names(tmp_path) == sorted(others)


def test_a_folder_replaces_an_older_one(tmp_path: Path) -> None:
    target = tmp_path / "new" / "bundle"
    with pytest.raises(KeyError), partial_folder(target):
        raise KeyError
    assert names(tmp_path) == []
    for text in ("old", "new"):
        with partial_folder(target) as folder:
            (folder / "file").write_text(text)
            move_folder(folder, target)
        assert (target / "file").read_text() == text
        assert names(target.parent) == ["bundle"]


def test_runs_that_clean_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from aatm_onnx.atomic import whole_file
for number in range(150):
    with whole_file(Path(sys.argv[1])) as stream:
        stream.write(b"x" * 1000)
"""
    runs = [subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(tmp_path / "out")]) for _ in range(3)]
    deadline = time.monotonic() + 60
    assert [run.wait(max(1, deadline - time.monotonic())) for run in runs] == [0, 0, 0]
    assert (tmp_path / "out").stat().st_size == 1000
    assert names(tmp_path) == ["out"]
