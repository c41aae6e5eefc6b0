"""Opening a bundle: what is damaged is refused by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aatm_onnx import BundleError, Qwen3Reranker
from aatm_onnx.bundle import MANIFEST_FILE, open_bundle


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


def edit_manifest(bundle: Path, **changes: Any) -> None:
    file = bundle / MANIFEST_FILE
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **changes}), "utf-8")


def test_a_manifest_reads_back_as_it_was_written(bundle: Path, tmp_path: Path) -> None:
    opened = open_bundle(bundle)
    assert (bundle / MANIFEST_FILE).read_text("utf-8") == opened.manifest.to_json()
    assert list(opened.check_hashes()) == list(opened.manifest.files)
    assert len(opened.conformance()) >= 16


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no bundle\.json.*aatm-onnx export"):
        open_bundle(tmp_path)


def test_an_unknown_format_version_is_refused(copy: Path) -> None:
    edit_manifest(copy, format_version=99)
    with pytest.raises(BundleError, match="format version 99"):
        open_bundle(copy)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', '{"format_version": 1, "files": 3}'])
def test_a_broken_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / MANIFEST_FILE).write_text(text, "utf-8")
    with pytest.raises(BundleError, match=r"bundle\.json"):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "conformance.json"])
def test_a_missing_or_truncated_file_is_named(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1])
    with pytest.raises(BundleError, match=f"{name} has .* bytes"):
        Qwen3Reranker(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        Qwen3Reranker(copy)


def test_an_altered_file_is_found_by_its_hash(copy: Path) -> None:
    file = copy / "model.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        list(open_bundle(copy).check_hashes())


def test_a_newer_field_does_not_stop_an_older_reader(copy: Path) -> None:
    edit_manifest(copy, something_new={"a": 1})
    assert open_bundle(copy).manifest == open_bundle(copy).manifest


def test_a_manifest_that_does_not_list_the_graph_is_refused(copy: Path) -> None:
    files = json.loads((copy / MANIFEST_FILE).read_text("utf-8"))["files"]
    del files["model.onnx"]
    edit_manifest(copy, files=files)
    with pytest.raises(BundleError, match=r"does not list model\.onnx"):
        open_bundle(copy)
