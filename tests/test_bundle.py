"""Opening a bundle: what is damaged is refused by name."""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aatm_onnx import BundleError, Qwen3Reranker
from aatm_onnx.bundle import MANIFEST_FILE, open_bundle

from .resealed import edit_manifest, reseal, write_manifest


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


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


def test_a_bundle_of_an_older_format_is_refused_with_what_to_do(copy: Path) -> None:
    edit_manifest(copy, format_version=1)
    with pytest.raises(BundleError, match="format version 1, and this aatm-onnx reads 2; export the checkpoint again"):
        open_bundle(copy)


@pytest.mark.parametrize(
    ("field", "value"), [("task", "Find the opposite."), ("prefix", "x"), ("prefix_ids", [1, 2])], ids=str
)
def test_an_altered_manifest_is_refused(copy: Path, field: str, value: Any) -> None:
    """Another task or length changes every score, so a manifest is sealed."""
    content = json.loads((copy / MANIFEST_FILE).read_text("utf-8"))
    content["prompt"][field] = value
    (copy / MANIFEST_FILE).write_text(json.dumps(content), "utf-8")
    with pytest.raises(BundleError, match="its seal is not that of its content"):
        open_bundle(copy)


@pytest.mark.parametrize("seal", [None, 3, "", "0" * 64, [], "é"], ids=repr)
def test_a_seal_that_is_wrong_or_missing_is_refused(copy: Path, seal: Any) -> None:
    content = json.loads((copy / MANIFEST_FILE).read_text("utf-8"))
    for changed in ({**content, "seal": seal}, {name: value for name, value in content.items() if name != "seal"}):
        (copy / MANIFEST_FILE).write_text(json.dumps(changed), "utf-8")
        with pytest.raises(BundleError, match="its seal is not that of its content"):
            open_bundle(copy)


def test_another_max_length_in_the_manifest_is_refused(copy: Path) -> None:
    content = json.loads((copy / MANIFEST_FILE).read_text("utf-8"))
    (copy / MANIFEST_FILE).write_text(json.dumps({**content, "max_length": 99}), "utf-8")
    with pytest.raises(BundleError, match="its seal is not that of its content"):
        open_bundle(copy)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 2}', '{"format_version": 2, "files": 3}'])
def test_a_broken_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / MANIFEST_FILE).write_text(text, "utf-8")
    with pytest.raises(BundleError, match=r"bundle\.json"):
        open_bundle(copy)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all plain values and lists inside an object."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    else:
        yield path


@pytest.mark.parametrize("wrong", [None, "x", 1.5, -1, 10**9, [], [None], {}, True], ids=repr)
def test_a_value_of_another_type_is_named(copy: Path, wrong: Any) -> None:
    content = json.loads((copy / MANIFEST_FILE).read_text("utf-8"))
    for path in leaves({name: value for name, value in content.items() if name != "seal"}):
        changed = json.loads(json.dumps(content))
        *outer, last = path
        place = changed
        for name in outer:
            place = place[name]
        right, place[last] = place[last], wrong
        write_manifest(copy, changed)
        may_be_none = path in [("source", "revision"), ("graph", "fidelity")]
        if isinstance(wrong, type(right)) or (isinstance(right, float) and isinstance(wrong, int)) or may_be_none:
            with contextlib.suppress(BundleError):  # a size, an id or a name may be wrong otherwise
                open_bundle(copy)
        else:
            with pytest.raises(BundleError, match=re.escape(last).replace("format_version", "format version")):
                open_bundle(copy)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ("[]", "has no conformance vectors"),
        ('[{"query": "a", "document": "b", "input_ids": [1], "logits": [0, 1]}]', "vector 0 is not for the prompt"),
        ('[{"query": "a", "document": "b", "input_ids": null, "logits": [0, 1]}]', r"\[0\].input_ids is None"),
        ("[" * 100_000, "nested more than 32 deep"),
    ],
)
def test_conformance_vectors_that_prove_nothing_are_refused(copy: Path, vectors: str, message: str) -> None:
    (copy / "conformance.json").write_text(vectors)
    reseal(copy)
    with pytest.raises(BundleError, match=message):
        open_bundle(copy).conformance()


def test_ids_that_the_model_does_not_know_are_refused(copy: Path) -> None:
    edit_manifest(copy, pad_token_id=10**7)
    with pytest.raises(BundleError, match="vocabulary of 151669 has no token 10000000"):
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
