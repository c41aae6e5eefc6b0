"""Export: a checkpoint's bundle gives the scores that transformers gives, however the checkpoint lies on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from aatm_onnx_export import compare_with_checkpoint, export_checkpoint
from aatm_onnx_export.graph.standard import graph_file
from numpy.typing import NDArray

from aatm_onnx.bundle import GRAPH_FILE, Bundle, open_bundle
from aatm_onnx.prompt import DEFAULT_PREFIX, left_pad
from aatm_onnx.runtime.scoring import probability_of_yes
from aatm_onnx.runtime.session import open_session
from aatm_onnx.tokenizer import read_tokenizer

from .checkpoints import VOCABULARY, float32_logits, make_checkpoint

YES, NO, PAD = 9693, 2152, 151643
ROOT = Path(__file__).parent.parent
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


def random_prompts(seed: int) -> list[NDArray[np.int32]]:
    """Token ids of one to 300 tokens, nothing like the prompts that an export proves itself on."""
    random = np.random.default_rng(seed)
    return [random.integers(0, VOCABULARY, length, np.int32) for length in (1, 2, 300, 17, 64, 129)]


def transformers_scores(checkpoint: Path, prompts: list[NDArray[np.int32]]) -> NDArray[np.float64]:
    """Scores as aatm computes them, but prompt by prompt: shape (prompts,)."""
    return probability_of_yes(float32_logits(checkpoint, prompts))


def bundle_scores(bundle: Bundle, prompts: list[NDArray[np.int32]]) -> NDArray[np.float64]:
    """Scores of one left-padded batch: shape (prompts,)."""
    return probability_of_yes(open_session(bundle, "cpu").logits(*left_pad(prompts, PAD)))


@pytest.mark.parametrize(
    ("checkpoint_options", "precision", "tolerance"),
    [
        pytest.param({"shards": 3}, "fp32", 1e-5, id="tied-sharded"),
        pytest.param({"tied": False, "shards": 4, "attention_bias": True}, "fp32", 1e-5, id="untied-sharded-bias"),
        pytest.param({"rope_scaling": YARN, "dtype": torch.float16}, "fp32", 1e-5, id="yarn-float16"),
        pytest.param({"dtype": torch.float32, "tied": False}, "fp16", 5e-3, id="untied-float32-to-fp16"),
    ],
)
def test_a_bundle_scores_as_transformers_does(
    tmp_path: Path, checkpoint_options: dict[str, object], precision: str, tolerance: float
) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", **checkpoint_options)
    bundle = export_checkpoint(str(checkpoint), tmp_path / "bundle", precision=precision, graph="standard")
    prompts = random_prompts(7)
    expected = transformers_scores(checkpoint, prompts)
    assert np.ptp(expected) > 100 * tolerance or precision == "fp16"  # the scores do tell the prompts apart
    alone = np.concatenate([bundle_scores(bundle, [prompt]) for prompt in prompts])
    np.testing.assert_allclose(alone, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(bundle_scores(bundle, prompts), expected, rtol=0, atol=tolerance)
    difference, allowed = bundle.manifest.graph.difference, bundle.manifest.graph.tolerance
    floor = 1e-5 if precision == "fp32" else 2e-5
    assert allowed == min(tolerance, max(floor, 4 * difference)) and difference <= allowed
    bytes_per_weight = 2 if precision == "fp16" else 4
    embedding = VOCABULARY * bundle.manifest.config.hidden_size * bytes_per_weight
    assert embedding < bundle.graph_path.stat().st_size < 1.1 * embedding  # and of an untied lm_head two rows


def test_logits_are_in_the_order_no_yes(checkpoint: Path, bundle: Path) -> None:
    prompts = [np.arange(1000, 1020, dtype=np.int32)]
    logits = open_session(open_bundle(bundle), "cpu").logits(*left_pad(prompts, PAD))
    np.testing.assert_allclose(logits, float32_logits(checkpoint, prompts), rtol=0, atol=1e-5)


def test_however_much_padding_a_row_has_its_score_is_a_number_and_the_same(bundle: Path) -> None:
    session = open_session(open_bundle(bundle), "cpu")
    prompt = np.array([7, 8, 9], np.int32)
    alone = session.logits(*left_pad([prompt], PAD))[0]
    for other in (4, 50, 700):
        padded = session.logits(*left_pad([prompt, np.arange(other, dtype=np.int32)], PAD))[0]
        np.testing.assert_allclose(padded, alone, rtol=0, atol=1e-5)


def test_the_graph_is_plain_onnx_with_dynamic_inputs(bundle: Path) -> None:
    graph = onnx.load(str(bundle / GRAPH_FILE)).graph
    assert {node.domain for node in graph.node} <= {"", "ai.onnx"}
    inputs = {node.name: node.type.tensor_type for node in graph.input}
    assert list(inputs) == ["input_ids", "attention_mask"]
    for tensor in inputs.values():
        assert tensor.elem_type == onnx.TensorProto.INT64
        assert [dimension.dim_param for dimension in tensor.shape.dim] == ["batch", "sequence"]
    (output,) = graph.output
    assert output.name == "logits"
    batch, answers = output.type.tensor_type.shape.dim
    assert (batch.dim_param, answers.dim_value) == ("batch", 2)


def test_the_manifest_says_what_a_score_depends_on(checkpoint: Path, bundle: Path) -> None:
    opened = open_bundle(bundle)
    manifest = opened.manifest
    assert set(opened.check_hashes()) == {GRAPH_FILE, "tokenizer.json", "conformance.json"}
    assert (manifest.yes_token_id, manifest.no_token_id, manifest.pad_token_id) == (YES, NO, PAD)
    assert (manifest.graph.kind, manifest.graph.precision) == ("standard", "fp32")
    assert manifest.prompt.prefix == DEFAULT_PREFIX
    assert manifest.prompt.prefix_ids == read_tokenizer(opened.tokenizer_path).encode(DEFAULT_PREFIX).ids
    config = json.loads((checkpoint / "config.json").read_text())
    for name, value in vars(manifest.config).items():
        assert config[name] == value
    assert {"torch", "transformers", "optimum", "optimum-onnx", "onnx"} <= manifest.tools.keys()


def test_conformance_vectors_are_whole_prompts_of_many_lengths(checkpoint: Path, bundle: Path) -> None:
    opened = open_bundle(bundle)
    vectors = opened.conformance()
    lengths = {len(vector.input_ids) for vector in vectors}
    assert len(vectors) >= 16 and len(lengths) >= 12 and max(lengths) > 300
    for vector in vectors:
        assert vector.input_ids[: len(opened.manifest.prompt.prefix_ids)] == opened.manifest.prompt.prefix_ids
        assert vector.input_ids[-len(opened.manifest.prompt.suffix_ids) :] == opened.manifest.prompt.suffix_ids
    expected = transformers_scores(checkpoint, [np.array(vector.input_ids, np.int32) for vector in vectors])
    promised = probability_of_yes(np.array([vector.logits for vector in vectors], np.float32))
    np.testing.assert_allclose(promised, expected, rtol=0, atol=1e-6)


def test_a_bundle_can_be_for_another_prompt(checkpoint: Path, tmp_path: Path) -> None:
    bundle = export_checkpoint(
        str(checkpoint),
        tmp_path / "bundle",
        task="Match drugs.",
        prefix="Q: ",
        suffix=" A:",
        max_length=40,
        graph="standard",
    )
    assert (bundle.manifest.prompt.task, bundle.manifest.max_length) == ("Match drugs.", 40)
    lengths = [len(vector.input_ids) for vector in bundle.conformance()]
    assert max(lengths) == 40


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_graph_too_large_for_one_file_keeps_its_weights_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    # Heads of 128, as the real ones have: only then are the RoPE frequencies, a constant, large enough to go there too.
    checkpoint = make_checkpoint(tmp_path / "checkpoint", head_dim=128, num_hidden_layers=1)
    # As if the small graph passed 2 GB: optimum's own switch for float32, our limit for float16.
    monkeypatch.setenv("FORCE_ONNX_EXTERNAL_DATA", "1")
    monkeypatch.setattr(graph_file, "INLINE_BYTES", 0)
    bundle = export_checkpoint(str(checkpoint), tmp_path / "bundle", precision=precision, graph="standard")
    assert bundle.manifest.files.keys() == {
        GRAPH_FILE,
        GRAPH_FILE + ".data",
        "tokenizer.json",
        "conformance.json",
    }
    assert bundle.graph_path.stat().st_size < 1 << 20
    prompts = random_prompts(3)
    np.testing.assert_allclose(
        bundle_scores(bundle, prompts), transformers_scores(checkpoint, prompts), rtol=0, atol=1e-5
    )


def test_a_bundle_is_compared_with_a_checkpoint(checkpoint: Path, bundle: Path, tmp_path: Path) -> None:
    opened = open_bundle(bundle)
    session = open_session(opened, "cpu")
    assert compare_with_checkpoint(opened, session, str(checkpoint)).passed
    other = make_checkpoint(tmp_path / "other", seed=5)
    assert not compare_with_checkpoint(opened, session, str(other)).passed


def test_export_runs_from_a_checkout_and_is_quiet(checkpoint: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "export"), str(checkpoint), "--output", "bundle", "--graph", "standard"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert open_bundle(tmp_path / "bundle").manifest.source.checkpoint == checkpoint.name
    assert len(done.stdout.splitlines()) == 1
    assert all(line.endswith(" ...") for line in done.stderr.splitlines()), done.stderr
