"""Checkpoints from strangers: what is malformed is refused by name, before anything is allocated."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from aatm_onnx_export.checkpoint import open_checkpoint

from aatm_onnx import ExportError

from .checkpoints import rewrite_header


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def entry(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = header["model.norm.weight"]
    return found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data_offsets", [-8, 120]),
        ("data_offsets", [0.0, 128.0]),
        ("data_offsets", [128, 0]),
        ("data_offsets", [0]),
        ("data_offsets", "ab"),
        ("data_offsets", [False, 128]),
        ("shape", "64"),
        ("shape", [64.0]),
        ("shape", [-1, -64]),
        ("shape", None),
        ("dtype", ["BF16"]),
        ("dtype", None),
    ],
    ids=str,
)
def test_a_tensors_place_must_be_whole_numbers_in_order(copy: Path, field: str, value: Any) -> None:
    rewrite_header(copy, lambda header: entry(header).update({field: value}))
    with pytest.raises(ExportError, match=r"is not a safetensors file|is damaged"):
        open_checkpoint(str(copy))


def test_overlapping_tensors_are_refused(copy: Path) -> None:
    def overlap(header: dict[str, Any]) -> None:
        entry(header)["data_offsets"] = header["model.layers.0.input_layernorm.weight"]["data_offsets"]

    rewrite_header(copy, overlap)
    with pytest.raises(ExportError, match="two of its tensors overlap"):
        open_checkpoint(str(copy))


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b'{"a": 1, "a": 2}', b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 0]}}', b"[]"],
)
def test_a_malformed_header_is_refused(copy: Path, text: bytes) -> None:
    rewrite_header(copy, text)
    with pytest.raises(ExportError, match="is not a safetensors file"):
        open_checkpoint(str(copy))


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/tmp/x.safetensors", "model.bin", 3, "a\x1b.safetensors"])
def test_an_index_names_plain_files(copy: Path, shard: Any) -> None:
    (copy / "model.safetensors").rename(copy.parent / "outside.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"model.norm.weight": shard}}))
    with pytest.raises(ExportError, match="which is not a plain file name"):
        open_checkpoint(str(copy))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("rms_norm_eps", "Infinity"),
        ("rms_norm_eps", "1" + "0" * 400),
        ("rms_norm_eps", "true"),
        ("rope_theta", "1e999"),
        ("rope_theta", "NaN"),
        ("rope_parameters", "[1]"),
        ("rope_parameters", '"x"'),
        ("rope_scaling", '{"rope_type": "linear", "factor": 1' + "0" * 400 + "}"),
        ("tie_word_embeddings", '"no"'),
        ("tie_word_embeddings", "0"),
        ("num_hidden_layers", "1000000000"),
        ("num_hidden_layers", "true"),
        ("hidden_size", "1e3"),
        ("vocab_size", "[" * 50_000),
    ],
)
def test_a_config_that_can_not_be_meant_is_refused_at_once(copy: Path, field: str, text: str) -> None:
    config = json.loads((copy / "config.json").read_text("utf-8"))
    config.pop(field, None)
    (copy / "config.json").write_text(json.dumps(config)[:-1] + f', "{field}": {text}}}')
    begin = time.monotonic()
    with pytest.raises(ExportError) as error:
        open_checkpoint(str(copy))
    assert "config.json" in str(error.value) and len(str(error.value)) < 300
    assert time.monotonic() - begin < 5
