"""Where an export writes: whole or not at all, over nothing that it was not told to replace, whatever ends it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from aatm_onnx_export import export_checkpoint
from aatm_onnx_export.graph import standard
from aatm_onnx_export.kinds import KINDS, GraphKind
from aatm_onnx_export.progress import Progress
from onnx import numpy_helper

from aatm_onnx import Qwen3Reranker
from aatm_onnx.bundle import MANIFEST_FILE, open_bundle
from aatm_onnx.errors import ExportError

from .checkpoints import make_checkpoint


def test_too_little_disk_space_is_refused(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50_000_000))
    with pytest.raises(ExportError, match=r"has 50\.0 MB of free disk space"):
        export_checkpoint(str(checkpoint), tmp_path / "bundle", graph="standard")
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cant_be_written_is_named_before_anything_is_read(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    steps: list[Progress] = []
    with pytest.raises(OSError, match=r"can't be written \(Not a directory\): '.*/file/bundle'"):
        export_checkpoint(checkpoint, tmp_path / "file" / "bundle", progress=steps.append)
    assert not steps and (tmp_path / "file").read_text() == "kept"


def standard_that_writes(write: Callable[..., None]) -> GraphKind:
    """The kind `standard`, its float32 graph written by another function."""
    kind = KINDS["standard"]
    return replace(kind, strategies={"fp32": replace(kind.strategies["fp32"], write=write)})


def damage_graph(folder: Path, factor: float) -> None:
    """Multiply one matrix of the last layer."""
    model = onnx.load(str(folder / "model.onnx"))
    matrices = [tensor for tensor in model.graph.initializer if list(tensor.dims) == [96, 64]]
    matrices[-1].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(matrices[-1]) * factor, matrices[-1].name))
    onnx.save(model, str(folder / "model.onnx"))


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_a_graph_with_wrong_scores_leaves_no_bundle(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    def write_damaged(*arguments: Any) -> None:
        standard.write_graph(*arguments)
        damage_graph(arguments[1], np.float32(factor))

    monkeypatch.setitem(KINDS, "standard", standard_that_writes(write_damaged))
    with pytest.raises(ExportError, match=r"differ from the float32 reference's by up to (inf|\d\S*), where 1e-05"):
        export_checkpoint(str(checkpoint), tmp_path / "bundle", graph="standard")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_an_interrupted_export_leaves_the_older_bundle_as_it_was(
    checkpoint: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    def write_half(checkpoint: object, folder: Path, *others: object) -> None:
        (folder / "model.onnx").write_bytes(b"half")
        raise failure

    output = tmp_path / "bundle"
    shutil.copytree(bundle, output)
    monkeypatch.setitem(KINDS, "standard", standard_that_writes(write_half))
    with pytest.raises(failure):
        export_checkpoint(str(checkpoint), output, force=True, graph="standard")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert len(list(open_bundle(output).check_hashes())) == 3


def test_a_bundle_that_cant_be_opened_replaces_none(
    checkpoint: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    with monkeypatch.context() as patch, pytest.raises(ExportError, match=r"that was made can't be opened .*more than"):
        patch.setattr("aatm_onnx.bundle.manifest._MOST_BYTES", 1000)  # every manifest is larger
        export_checkpoint(str(checkpoint), output, force=True, graph="standard")
    assert len(list(open_bundle(output).check_hashes())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_names_that_are_no_text_are_refused_at_once(checkpoint: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff")
    odd.symlink_to(checkpoint)
    with pytest.raises(ValueError, match=r"The output's path is not valid Unicode"):
        export_checkpoint(checkpoint, odd / "bundle")
    odd.unlink()
    folder = shutil.copytree(checkpoint, odd)
    with pytest.raises(ValueError, match=r"The checkpoint's name is not valid Unicode"):
        export_checkpoint(folder, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == [odd]


@pytest.mark.parametrize("most", [5_000_000, 12_000_000])
def test_a_full_disk_is_said_of_the_output(checkpoint: Path, tmp_path: Path, most: int) -> None:
    """While the tokenizer is copied, and while weights are written. Here files may not be larger than so many bytes."""
    resource = pytest.importorskip("resource")
    command = [sys.executable, "-m", "aatm_onnx.cli", "export", str(checkpoint), "--output", str(tmp_path / "bundle")]
    done = subprocess.run(
        command,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr.splitlines()[-1] == f"Error: {tmp_path / 'bundle'}: can't be written (File too large)."
    assert done.returncode == 1 and list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_replaced_only_on_demand(checkpoint: Path, bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    shutil.copytree(bundle, output)
    with pytest.raises(ExportError, match=r"exists; .* --force"):
        export_checkpoint(str(checkpoint), output, graph="standard")
    other = make_checkpoint(tmp_path / "other", num_hidden_layers=1)
    replaced = export_checkpoint(str(other), output, force=True, graph="standard")
    assert replaced.manifest.config.num_hidden_layers == 1
    assert len(list(replaced.check_hashes())) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "other"]


@pytest.mark.parametrize("kind", ["folder", "file", "empty folder"])
def test_what_is_not_a_bundle_is_never_replaced(checkpoint: Path, tmp_path: Path, kind: str) -> None:
    output = tmp_path / "precious"
    if kind == "file":
        output.write_text("kept")
    else:
        output.mkdir()
    if kind == "folder":
        (output / "thesis.txt").write_text("kept")
    with pytest.raises(ExportError, match="is not a bundle"):
        export_checkpoint(str(checkpoint), output, force=True, graph="standard")
    assert output.exists() and not (output / MANIFEST_FILE).exists()
    if kind == "folder":
        assert (output / "thesis.txt").read_text() == "kept"


def test_force_removes_nothing_but_the_bundle(checkpoint: Path, bundle: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(bundle, tmp_path / "models"))
    shutil.copytree(bundle, output / "other")
    with pytest.raises(ExportError, match=r"has more in it than a bundle \(other\)"):
        export_checkpoint(str(checkpoint), output, force=True)
    assert (output / "other" / MANIFEST_FILE).exists()


def test_a_tilde_is_the_users_home_as_it_is_for_rerankers(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    exported = export_checkpoint(checkpoint, "~/bundle")
    assert exported.path == tmp_path / "home" / "bundle"
    assert Qwen3Reranker("~/bundle", provider="cpu").bundle.manifest == exported.manifest
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_force_through_a_link_replaces_what_it_leads_to(checkpoint: Path, bundle: Path, tmp_path: Path) -> None:
    real, link = Path(shutil.copytree(bundle, tmp_path / "real")), tmp_path / "link"
    link.symlink_to(real)
    export_checkpoint(str(checkpoint), link, force=True)
    assert link.is_symlink() and open_bundle(real).manifest.graph.kind == "fused"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_terminated_export_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "aatm_onnx.cli", "export", str(checkpoint), "--output", str(tmp_path / "bundle")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as exporting:
        assert exporting.stderr is not None
        while not list(tmp_path.iterdir()):
            assert exporting.poll() is None
            time.sleep(0.01)
        exporting.terminate()
        assert exporting.wait(60) == 128 + signal.SIGTERM, exporting.stderr.read()
    assert list(tmp_path.iterdir()) == []
