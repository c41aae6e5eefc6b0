"""What is zero in a checkpoint's weights is left out of the graph, and its logits are transformers' all the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from aatm_onnx_export.checkpoint import open_checkpoint, read_weights
from aatm_onnx_export.graph.fused import Storage, write_graph
from aatm_onnx_export.graph.picks import picks
from aatm_onnx_export.graph.zeros import Box, box, without_zeros
from numpy.typing import NDArray

from aatm_onnx.prompt import left_pad

from .checkpoints import float32_logits, make_checkpoint, rewrite_weights

Weights = dict[str, torch.Tensor]
SIZES = {"hidden_size": 96, "intermediate_size": 480, "num_attention_heads": 8}  # enough for inputs to be gathered
Ids = NDArray[np.int32]
ROWS = [np.array(ids, np.int32) for ids in ([5, 77, 1234, 9], [8, 8, 3, 150_000, 42, 7], [1])]


def _attention(weights: Weights, layer: int, heads: slice) -> None:
    """Keys and values of these of two heads, of 32 rows each, become zero."""
    for part in "kv":
        weights[f"model.layers.{layer}.self_attn.{part}_proj.weight"].view(2, 32, -1)[heads] = 0


def heads(weights: Weights) -> None:
    """The first head of one layer, the second of the next."""
    _attention(weights, 0, slice(0, 1))
    _attention(weights, 1, slice(1, 2))


def values_alone(weights: Weights) -> None:
    """A head without values whose keys are there: its keys are part of `present`."""
    weights["model.layers.0.self_attn.v_proj.weight"].view(2, 32, -1)[0] = 0


def channels(weights: Weights) -> None:
    """Channels that one of three weights lacks, and a layer that lacks them all."""
    weights["model.layers.0.mlp.gate_proj.weight"][10:40] = 0
    weights["model.layers.0.mlp.up_proj.weight"][60:62] = 0
    weights["model.layers.1.mlp.down_proj.weight"][:, 1:] = 0
    weights["model.layers.2.mlp.down_proj.weight"][:] = 0


def blocks(weights: Weights) -> None:
    """Of each weight only a block is left, another one each time."""
    draw = np.random.default_rng(0)
    for name, weight in weights.items():
        if "_proj" in name:
            kept = torch.zeros_like(weight, dtype=torch.bool)
            first, last = (np.sort(draw.integers(0, size, 2)) for size in weight.shape)
            kept[first[0] : first[1] + 1, last[0] : last[1] + 1] = True
            weight[~kept] = 0


def embeddings(weights: Weights) -> None:
    """Columns that no token has."""
    weights["model.embed_tokens.weight"][:, 40:] = 0
    weights["model.embed_tokens.weight"][:, :3] = 0


def columns(weights: Weights) -> None:
    """Columns side by side that no output takes, between others."""
    for name, weight in weights.items():
        if "q_proj" in name or "gate_proj" in name:
            weight[:, 20:90] = 0


def picked(weights: Weights) -> None:
    """Outputs of one weight are two inputs each, those of another one or none, of inputs with others between them."""
    draw = np.random.default_rng(0)
    inputs = {"up_proj": np.arange(96), "o_proj": np.r_[:100, 200:256]}
    outputs = {"up_proj": np.arange(480), "o_proj": np.arange(20, 80)}
    for name, weight in weights.items():
        if (layer := name.split(".")[-2]) in inputs:
            kept = torch.zeros_like(weight, dtype=torch.bool)
            for _ in range(2 if layer == "up_proj" else 1):
                kept[outputs[layer], draw.choice(inputs[layer], len(outputs[layer]))] = True
            weight[~kept] = 0


def everything(weights: Weights) -> None:
    """Nothing but embeddings and norms."""
    for name, weight in weights.items():
        if "_proj" in name:
            weight[:] = 0


@pytest.mark.parametrize("zero", [heads, values_alone, channels, blocks, columns, picked, embeddings, everything])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_logits_and_keys_are_those_of_the_whole_model(
    tmp_path: Path, zero: Callable[[Weights], None], precision: str
) -> None:
    # float16 holds these weights exactly
    folder = make_checkpoint(tmp_path / "checkpoint", tied=False, dtype=torch.float16, spread=0.2, **SIZES)
    whole = _write(folder, tmp_path / "whole", precision)
    rewrite_weights(folder, zero)
    less = _write(folder, tmp_path / "less", precision)
    assert _bytes(tmp_path / "less") < _bytes(tmp_path / "whole") or zero is values_alone

    expected = float32_logits(folder, ROWS)
    np.testing.assert_allclose(_run(less, "logits", ROWS), expected, atol=2e-5)
    assert np.abs(_run(whole, "logits", ROWS) - expected).max() > 1e-3  # what became zero told something before
    (present,) = _run(less, "present", [ROWS[1][:4]])
    np.testing.assert_allclose(_run(less, "logits", [ROWS[1][4:]], present), expected[1:2], atol=2e-5)


def test_what_is_picked_is_not_multiplied(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "checkpoint", **SIZES)
    rewrite_weights(folder, picked)
    (tmp_path / "less").mkdir()
    write_graph(open_checkpoint(str(folder)), tmp_path / "less", Storage("fp32"))
    graph = onnx.load(tmp_path / "less" / "model.onnx", load_external_data=False).graph
    multiplied = {
        name.split(".")[-2] for node in graph.node if node.op_type == "MatMul" for name in node.input if "." in name
    }
    assert multiplied == {"lm_head", "q_proj", "k_proj", "v_proj", "gate_proj", "down_proj"}


@pytest.mark.parametrize(("zeros", "parts"), [(63, 1), (64, 2)])
def test_many_zeros_between_inputs_are_cut_out(tmp_path: Path, zeros: int, parts: int) -> None:
    name = "model.layers.0.mlp.gate_proj.weight"
    folder = make_checkpoint(tmp_path / "checkpoint", hidden_size=256)
    rewrite_weights(folder, lambda weights: (weights[name][:, 20 : 20 + zeros].zero_(), weights[name][:, 150:].zero_()))
    inputs = box(read_weights(open_checkpoint(str(folder))), name).inputs
    assert (len(inputs), inputs[0][0], inputs[-1][1]) == (parts, 0, 150)


def test_a_full_model_is_not_cut(tmp_path: Path) -> None:
    weights = read_weights(open_checkpoint(str(make_checkpoint(tmp_path, tied=False))))
    assert not without_zeros(weights).kept
    for name in weights.tensors:
        if "_proj" in name:
            assert box(weights, name) == (whole := Box.whole(weights.shape(name)))
            assert picks(weights, name, whole) is None


def _write(checkpoint: Path, folder: Path, precision: str) -> onnxruntime.InferenceSession:
    folder.mkdir()
    write_graph(open_checkpoint(str(checkpoint)), folder, Storage(precision))
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.data"))


def _run(
    session: onnxruntime.InferenceSession, output: str, rows: list[Ids], past: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    ids, mask = left_pad(rows, 0)
    past = np.empty((3, 2, 2, 0, 32), np.float32) if past is None else past
    feed = {"input_ids": ids, "attention_mask": mask, "past": past, "keep_rows": np.array([int(output == "present")])}
    result: NDArray[np.float32] = session.run([output], feed)[0]
    return result
