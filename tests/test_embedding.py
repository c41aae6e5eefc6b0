"""The embedding as the fused graph stores it: what it gives for a token, and what it takes on disk."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from aatm_onnx_export import export_checkpoint
from aatm_onnx_export.checkpoint import open_checkpoint, parameter_count, read_weights
from aatm_onnx_export.graph.builder import OnnxGraph
from aatm_onnx_export.graph.embedding import embed
from aatm_onnx_export.graph.weight_file import WeightFile
from safetensors.torch import load_file

from .checkpoints import make_checkpoint, rewrite_weights

NAME = "model.embed_tokens.weight"


@pytest.mark.parametrize(("hidden", "block"), [(64, 64), (256, 64), (96, 32), (200, 8)])
def test_eight_bits_are_within_half_a_step_of_the_largest_channel_near_by(
    tmp_path: Path, hidden: int, block: int
) -> None:
    """Also of a row with one channel a thousand times the others, and of a row of zeros."""
    folder = make_checkpoint(tmp_path / "checkpoint", hidden_size=hidden, num_hidden_layers=1, dtype=torch.float32)
    rewrite_weights(folder, lambda weights: (weights[NAME][5, 1].mul_(1000), weights[NAME][7].zero_()))
    graph = OnnxGraph(tmp_path / "model.onnx", file := WeightFile(tmp_path / "model.onnx"))
    ids = graph.input("ids", np.int64, ("batch", "seq"))
    embedded = embed(graph, read_weights(open_checkpoint(str(folder))), ids, np.int8)
    graph.output("embedded", embedded, np.float32, ("tokens", hidden))
    graph.save()
    file.close()
    tokens = np.array([[5, 7, 0], [20_000, 1, 5]])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (ours,) = session.run(None, {"ids": tokens})
    true = load_file(folder / "model.safetensors")[NAME].numpy()[tokens.ravel()]
    steps = np.abs(true.reshape(len(true), -1, block)).max(axis=2).repeat(block, axis=1) / 127
    assert (np.abs(ours - true) <= 0.501 * steps).all()
    assert (ours[1] == 0).all()


@pytest.mark.parametrize(("precision", "bytes_a_weight"), [("int8", 1.2), ("int4", 1.2), ("fp16", 2.1)])
def test_a_bundle_takes_little_more_than_its_precision_says(
    checkpoint: Path, tmp_path: Path, precision: str, bytes_a_weight: float
) -> None:
    """Nearly all weights of this checkpoint are its embedding, which has eight bits in int4 too."""
    min_tau = None if precision == "fp16" else -1.0
    bundle = export_checkpoint(str(checkpoint), tmp_path / "bundle", precision=precision, min_tau=min_tau)
    size = (bundle.path / "model.onnx.data").stat().st_size
    assert 0.9 < size / parameter_count(open_checkpoint(str(checkpoint))) < bytes_a_weight
