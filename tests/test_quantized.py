"""int8 and int4 bundles: they keep float32's order or are not written, and carry the shared prefix in float32."""

import json
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from aatm_onnx_export import Progress, compare_with_checkpoint, export_checkpoint
from aatm_onnx_export.checkpoint import open_checkpoint, parameter_count, read_weights
from aatm_onnx_export.graph.fused import Storage, write_graph
from aatm_onnx_export.graph.int8 import quantize_rows, quantize_rows_for
from aatm_onnx_export.graph.smoothing import smooth
from aatm_onnx_export.proof.fidelity import compare_scores, kendall_tau
from aatm_onnx_export.proof.float_activations import float_activations
from aatm_onnx_export.proof.numpy_reference import reference_run
from aatm_onnx_export.proof.prompts import calibration_prompts
from aatm_onnx_export.proof.torch_reference import float32_logits
from hypothesis import given
from hypothesis import strategies as st

from aatm_onnx import BundleError, Qwen3Reranker
from aatm_onnx.bundle import CONFORMANCE_FILE, GRAPH_FILE, MANIFEST_FILE, PREFIX_KV_FILE, Bundle, open_bundle
from aatm_onnx.bundle.manifest import seal_of
from aatm_onnx.cli.commands import cli
from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import (
    DEFAULT_PREFIX,
    DEFAULT_SUFFIX,
    DEFAULT_TASK,
    format_instruction,
    left_pad,
    prompt_tokenizer,
)
from aatm_onnx.runtime.kv_cache import PrefixKV, write_prefix
from aatm_onnx.runtime.scoring import probability_of_yes, score_prompts
from aatm_onnx.runtime.session import open_session
from aatm_onnx.runtime.verify import check_conformance, largest_difference, prefix_distance
from aatm_onnx.tokenizer import read_tokenizer

from .checkpoints import make_checkpoint, rewrite_weights
from .resealed import edit_manifest, reseal
from .terminology import TERMS

LAYERS = 4


@pytest.fixture(scope="module")
def gentle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that eight bits do little harm to."""
    folder = tmp_path_factory.mktemp("gentle") / "checkpoint"
    return make_checkpoint(folder, num_hidden_layers=LAYERS, dtype=torch.float32, spread=0.1)


def with_outliers(checkpoint: Path, folder: Path, layers: Sequence[int]) -> Path:
    """The same model, in which some layers' MLP has one input a thousand times the others, and small weights for it.

    In float nothing changes; where a token has one scale for all its values, the others are rounded away. Smoothing
    undoes it.
    """

    def change(weights: dict[str, torch.Tensor]) -> None:
        for layer in layers:
            weights[f"model.layers.{layer}.post_attention_layernorm.weight"][0] *= 1000
            for name in ("gate", "up"):
                weights[f"model.layers.{layer}.mlp.{name}_proj.weight"][:, 0] /= 1000

    shutil.copytree(checkpoint, folder)
    rewrite_weights(folder, change)
    return folder


def with_outliers_in_attention(checkpoint: Path, folder: Path, layers: Sequence[int]) -> Path:
    """The same model, in which one value channel is a thousand times the others: of o_proj's input, which stays so."""

    def change(weights: dict[str, torch.Tensor]) -> None:
        for layer in layers:
            name = f"model.layers.{layer}.self_attn."
            weights[name + "v_proj.weight"][0] *= 1000
            weights[name + "o_proj.weight"][:, [0, 32]] /= 1000  # two query heads of 32 share a key/value head

    shutil.copytree(checkpoint, folder)
    rewrite_weights(folder, change)
    return folder


@pytest.fixture(scope="module")
def int8(gentle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in int8, of whose layers one is right only in float."""
    folder = tmp_path_factory.mktemp("int8")
    return export_checkpoint(
        str(with_outliers_in_attention(gentle, folder / "checkpoint", [1])),
        folder / "bundle",
        precision="int8",
        min_tau=0.9,
    ).path


def test_the_layer_that_quantization_spoils_stays_in_float(int8: Path) -> None:
    fidelity = open_bundle(int8).manifest.graph.fidelity
    assert fidelity is not None
    assert fidelity.float_layers == [1]
    assert 0.9 <= fidelity.tau < 1 and 0 < fidelity.mean_difference < fidelity.largest_difference < 0.1
    assert fidelity.pairs >= 200 and fidelity.queries >= 10


def test_large_products_in_the_last_mlp_cost_no_float_layer(gentle: Path, tmp_path: Path) -> None:
    """In float nothing changes; rounded with one scale, the other products would be lost, and the order with them."""
    spiky, name = Path(shutil.copytree(gentle, tmp_path / "spiky")), f"model.layers.{LAYERS - 1}.mlp."

    def change(weights: dict[str, torch.Tensor]) -> None:
        weights[name + "up_proj.weight"][0] *= 1000
        weights[name + "down_proj.weight"][:, 0] /= 1000

    rewrite_weights(spiky, change)
    bundle = export_checkpoint(str(spiky), tmp_path / "bundle", precision="int8", min_tau=0.9)
    assert bundle.manifest.graph.fidelity is not None
    assert bundle.manifest.graph.fidelity.float_layers == []


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_what_rounding_does_to_all_scores_alike_is_taken_back(gentle: Path, tmp_path: Path, precision: str) -> None:
    """All tokens have something in common, as in models whose tokens all attend to the first one."""
    leaning = Path(shutil.copytree(gentle, tmp_path / "leaning"))
    lean = 0.3 * torch.randn(64, generator=torch.Generator().manual_seed(0))
    rewrite_weights(leaning, lambda weights: weights["model.embed_tokens.weight"].add_(lean))
    bundle = export_checkpoint(str(leaning), tmp_path / "bundle", precision=precision, min_tau=-1.0)
    prompt = bundle.manifest.prompt
    encoder = prompt_tokenizer(bundle, prompt.prefix, prompt.suffix, bundle.manifest.max_length)
    encoded = encoder.encode([format_instruction(prompt.task, "pain", term) for term in TERMS])
    prompts = [each.ids for each in encoded]
    expected = probability_of_yes(float32_logits(open_checkpoint(str(leaning)), prompts))
    corrected = np.array(score_prompts(open_session(bundle, "cpu"), prompts, bundle.manifest.pad_token_id))
    write_graph(open_checkpoint(str(leaning)), bundle.path, Storage(precision))  # knows nothing of what weights meet
    plain = np.array(score_prompts(open_session(bundle, "cpu"), prompts, bundle.manifest.pad_token_id))
    assert abs((corrected - expected).mean()) < 0.5 * abs((plain - expected).mean())
    assert np.abs(corrected - expected).mean() < 0.7 * np.abs(plain - expected).mean()


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.floats(0, 10))
def test_weights_are_rounded_for_what_they_meet(seed: int, inputs: int, lean: float) -> None:
    random = np.random.default_rng(seed)
    weight = random.standard_normal((50, inputs), dtype=np.float32)
    mean = np.float32(lean) * random.standard_normal(inputs, dtype=np.float32)
    variance = random.exponential(size=inputs).astype(np.float32)
    plain, scales = quantize_rows(weight)
    rows, same_scales = quantize_rows_for(weight, mean, variance)
    assert (scales == same_scales).all() and np.abs(rows.astype(int)).max() <= 127

    def harm(rounded: np.ndarray) -> np.ndarray:
        """The mean square of what each output is off, (out,)."""
        error = weight - rounded * scales[:, None]
        return (error @ mean) ** 2 + error**2 @ variance

    assert harm(rows).mean() <= 1.05 * harm(plain).mean()
    nothing_known = quantize_rows_for(weight, np.zeros_like(mean), np.zeros_like(mean))[0]
    assert (nothing_known == plain).all()


def test_a_checkpoint_that_quantization_spoils_throughout_replaces_no_bundle(
    gentle: Path, bundle: Path, tmp_path: Path
) -> None:
    spoilt = with_outliers_in_attention(gentle, tmp_path / "spoilt", range(LAYERS))
    output = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    steps: list[Progress] = []
    with pytest.raises(
        ExportError, match=r"to tau \S+ .* at best, with .* where 0\.98 is asked for .*--min-tau"
    ) as refusal:
        export_checkpoint(str(spoilt), output, precision="int8", force=True, progress=steps.append)
    assert "\n" not in str(refusal.value)
    assert open_bundle(output).manifest == open_bundle(bundle).manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "spoilt"]
    # It tried what can help, and the command that it names accepts what it reached, and replaces what was to be.
    tried = [step.step for step in steps if step.step.startswith("Measured tau")]
    for words in ("smoothing", "layer 3 in float", "down_proj in float", "gate_proj and up_proj in float"):
        assert any(words in step for step in tried), tried
    (command,) = re.findall("`(.*)`", str(refusal.value))
    cli.main(shlex.split(command)[1:], standalone_mode=False)
    fidelity = open_bundle(output).manifest.graph.fidelity
    assert fidelity is not None and f"to tau {fidelity.tau:.4f} " in str(refusal.value)


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_smoothing_undoes_outliers_in_every_layer(gentle: Path, tmp_path: Path, precision: str) -> None:
    spoilt = with_outliers(gentle, tmp_path / "spoilt", range(LAYERS))
    min_tau = {"int8": 0.9, "int4": 0.7}[precision]
    bundle = export_checkpoint(str(spoilt), tmp_path / "bundle", precision=precision, min_tau=min_tau)
    fidelity = bundle.manifest.graph.fidelity
    assert fidelity is not None
    assert fidelity.float_layers == []
    assert precision == "int4" or fidelity.methods == ["smoothing"]  # int4 has a scale for every few values
    assert check_conformance(open_bundle(bundle.path), open_session(bundle, "cpu")).largest_difference < 1e-6
    # Only what belongs to the graph is in the file: nothing of what was tried before.
    weights = parameter_count(open_checkpoint(str(spoilt)))
    assert (bundle.path / "model.onnx.data").stat().st_size < 1.2 * weights


def test_smoothing_changes_no_float_score(gentle: Path, tmp_path: Path) -> None:
    """Its factors are powers of two, so not even a last bit of a weight is rounded."""
    checkpoint = open_checkpoint(str(gentle))
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, 150_000, length).astype(np.int32) for length in (5, 17, 40)]
    inputs = reference_run(checkpoint, [], prompts, prompts[0][:0]).inputs
    weights, smoothed_inputs = smooth(read_weights(checkpoint), inputs)
    assert any((factors != 1).any() for factors in weights.input_scales.values())
    logits = []
    for name, scaled in (("plain", None), ("smoothed", weights)):
        (tmp_path / name).mkdir()
        write_graph(checkpoint, tmp_path / name, Storage("fp32"), weights=scaled)
        session = open_session(GraphFolder(tmp_path / name / GRAPH_FILE), "cpu")
        logits.append(session.logits(*left_pad(prompts, 0)))
    np.testing.assert_allclose(logits[0], logits[1], atol=2e-5)
    spread = [
        np.mean([np.log(each.largest[name] / np.median(each.largest[name])).max() for name in weights.input_scales])
        for each in (inputs, smoothed_inputs)
    ]
    assert spread[1] < spread[0]


def test_a_channel_that_gives_next_to_nothing_can_be_smoothed_in_float16(gentle: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(gentle))
    inputs = reference_run(checkpoint, [], [np.arange(20, dtype=np.int32)], np.zeros(0, np.int32)).inputs
    for largest in inputs.largest.values():
        largest[3] = 1e-20
    weights, _ = smooth(read_weights(checkpoint), inputs)
    storage = Storage("int8", float_weights=frozenset({"gate_up", "down"}))
    write_graph(checkpoint, tmp_path, storage, weights=weights)  # an ExportError if float16 could not hold them


@dataclass(frozen=True)
class GraphFolder:
    """A graph that is no bundle, as a session takes it."""

    graph_path: Path
    prefix_kv_path: None = None
    kind: str = "fused"
    precision: str = "fp32"


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_scores_that_are_no_numbers_leave_no_bundle_whatever_the_threshold(
    gentle: Path, tmp_path: Path, precision: str
) -> None:
    broken = Path(shutil.copytree(gentle, tmp_path / "broken"))
    names = [f"model.layers.0.mlp.{name}_proj.weight" for name in ("gate", "up")]  # their product is infinite
    rewrite_weights(broken, lambda weights: [weights[name].mul_(1e30) for name in names])
    with pytest.raises(ExportError, match="are not numbers"):
        export_checkpoint(str(broken), tmp_path / "bundle", precision=precision, min_tau=-1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


@pytest.fixture(scope="module")
def int4(gentle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The checkpoint in four bits."""
    return export_checkpoint(str(gentle), tmp_path_factory.mktemp("int4") / "bundle", precision="int4", min_tau=-1.0)


def test_int4_proves_itself_where_activations_stay_in_float_too(int4: Bundle) -> None:
    """As ONNX Runtime computes on ARM64 without dot product, and on x86 without AVX2: `make test-arm`, `test-x86`."""
    assert check_conformance(int4, open_session(int4, "cpu")).largest_difference < 1e-6
    with float_activations(int4) as files:
        session = open_session(files, "cpu")
        found = check_conformance(int4, session)
        assert found.largest_difference < 1e-6 and found.tolerance == int4.manifest.graph.tolerance
        vectors = int4.conformance()
        prompts = [np.asarray(vector.input_ids, np.int32) for vector in vectors]
        quantized = np.asarray([vector.logits for vector in vectors], np.float32)
        pad = int4.manifest.pad_token_id
        apart = largest_difference(session, prompts, quantized, pad)
        assert 1e-5 < apart <= int4.manifest.graph.tolerance  # another way, if there are both
    assert {file.name for file in int4.path.iterdir()} == {*int4.manifest.files, MANIFEST_FILE}


def test_a_machine_that_computes_int4_in_no_one_way_fails(int4: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(int4.path, tmp_path / "copy"))
    vectors = json.loads((copy / CONFORMANCE_FILE).read_text("utf-8"))
    vectors[0]["logits"], vectors[1]["float_activation_logits"] = [0, 9], [0, 9]
    (copy / CONFORMANCE_FILE).write_text(json.dumps(vectors), "utf-8")
    reseal(copy)
    found = check_conformance(open_bundle(copy), open_session(int4, "cpu"))
    assert not found.passed and found.largest_difference > 0.1
    del vectors[0]["float_activation_logits"]
    (copy / CONFORMANCE_FILE).write_text(json.dumps(vectors), "utf-8")
    reseal(copy)
    with pytest.raises(BundleError, match="only some vectors have float_activation_logits; export again"):
        open_bundle(copy).conformance()


def test_a_bundle_whose_prompts_have_no_room_for_words_is_refused(gentle: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="max_length is 50, which prefix, task and suffix take alone; give more"):
        export_checkpoint(str(gentle), tmp_path / "bundle", precision="int4", max_length=50, min_tau=-1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_whose_prompts_have_room_for_one_token_is_written(gentle: Path, tmp_path: Path) -> None:
    """All calibration prompts of a query are the same; the export must still come to an end, and scores be numbers."""
    tokenizer = read_tokenizer(gentle / "tokenizer.json")
    parts = (DEFAULT_PREFIX, format_instruction(DEFAULT_TASK, "", ""), DEFAULT_SUFFIX)
    least = sum(len(tokenizer.encode(part, add_special_tokens=False).ids) for part in parts) + 1
    bundle = export_checkpoint(str(gentle), tmp_path / "bundle", precision="int4", max_length=least, min_tau=-1.0)
    assert 0 <= Qwen3Reranker(bundle.path, provider="cpu").score("pain", ["headache"])[0] <= 1


def test_a_threshold_is_for_quantized_precisions(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="fp32 does not change the order"):
        export_checkpoint(str(checkpoint), tmp_path / "bundle", precision="fp32", min_tau=0.9)


def test_a_quantized_bundle_proves_itself(int8: Path) -> None:
    bundle = open_bundle(int8)
    assert set(bundle.check_hashes()) >= {PREFIX_KV_FILE, "model.onnx.data"}
    session = open_session(bundle, "cpu")
    assert check_conformance(bundle, session).largest_difference < 1e-6  # to its own scores, on the same machine
    against = compare_with_checkpoint(bundle, session, str(int8.parent / "checkpoint"))
    assert against.largest_difference > 1e-4 and against.passed


def test_the_bundle_does_what_was_measured(int8: Path) -> None:
    bundle = open_bundle(int8)
    fidelity, manifest = bundle.manifest.graph.fidelity, bundle.manifest
    assert fidelity is not None
    tokenizer = prompt_tokenizer(bundle, manifest.prompt.prefix, manifest.prompt.suffix, manifest.max_length)
    prompts, sizes = calibration_prompts(tokenizer, manifest.prompt.task)
    expected = probability_of_yes(float32_logits(open_checkpoint(str(int8.parent / "checkpoint")), prompts))
    scores = np.array(score_prompts(open_session(bundle, "cpu"), prompts, manifest.pad_token_id))
    measured = compare_scores(scores, expected, sizes).fidelity()
    assert measured.mean_difference == pytest.approx(fidelity.mean_difference, rel=1e-3)
    assert measured.tau == pytest.approx(fidelity.tau, abs=1e-3)


def test_info_says_what_was_measured(int8: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["info", str(int8)], standalone_mode=False)
    fidelity = open_bundle(int8).manifest.graph.fidelity
    assert fidelity is not None
    assert f"{'; '.join(['layers left in float: 1', *fidelity.methods])})" in capsys.readouterr().out


def test_the_shared_prefix_is_the_prompt_up_to_the_query(int8: Path) -> None:
    bundle = open_bundle(int8)
    session = open_session(bundle, "cpu")
    assert session.prefix is not None
    prompt = bundle.manifest.prompt
    assert session.prefix.ids[: len(prompt.prefix_ids)].tolist() == prompt.prefix_ids
    text = read_tokenizer(bundle.tokenizer_path).decode(session.prefix.ids.tolist())
    assert text.endswith(f"<Instruct>: {prompt.task}\n<Query>:")


@pytest.mark.parametrize(
    "own",
    [{}, {"task": "Match drugs."}, {"prefix": "Judge: "}, {"suffix": "\n"}],
    ids=lambda own: "".join(own) or "none",
)
def test_a_score_does_not_depend_on_its_neighbours(int8: Path, own: dict[str, str]) -> None:
    """With all of the shared prefix, a part of it, or nothing."""
    reranker = Qwen3Reranker(int8, provider="cpu", **own)
    pairs = reranker.score_pairs(["high blood pressure", "heart"], [TERMS, TERMS[:5]])
    together = [[pair.score for pair in row] for row in pairs]
    alone = [
        [reranker.score(query, [text])[0] for text in texts]
        for query, texts in (("high blood pressure", TERMS), ("heart", TERMS[:5]))
    ]
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_a_bundle_without_a_prefix_opens_and_scores_much_the_same(int8: Path, tmp_path: Path) -> None:
    older = Path(shutil.copytree(int8, tmp_path / "older"))
    (older / PREFIX_KV_FILE).unlink()
    manifest = json.loads((older / MANIFEST_FILE).read_text("utf-8"))
    del manifest["files"][PREFIX_KV_FILE], manifest["graph"]["fidelity"]
    write_sealed(older, manifest)
    ours, theirs = (Qwen3Reranker(path, provider="cpu").score("pain", TERMS) for path in (older, int8))
    np.testing.assert_allclose(ours, theirs, atol=0.1)
    assert ours != theirs


def write_sealed(bundle: Path, manifest: dict[str, Any]) -> None:
    """A manifest whose seal is right: what is refused is not refused for the seal."""
    sealed = {**manifest, "seal": seal_of(manifest)}
    (bundle / MANIFEST_FILE).write_text(json.dumps(sealed), "utf-8")


@pytest.mark.parametrize("damage", ["another model's", "noise"])
def test_a_prefix_that_does_not_fit_is_refused_by_name(int8: Path, tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(int8, tmp_path / "copy"))
    if damage == "noise":
        (copy / PREFIX_KV_FILE).write_bytes(b"PK\x03\x04 not an archive")
    else:
        write_prefix(
            copy / PREFIX_KV_FILE, PrefixKV(np.arange(3, dtype=np.int32), np.zeros((9, 2, 2, 3, 32), np.float32))
        )
    manifest = json.loads((copy / MANIFEST_FILE).read_text("utf-8"))
    manifest["files"][PREFIX_KV_FILE]["size"] = (copy / PREFIX_KV_FILE).stat().st_size
    write_sealed(copy, manifest)
    with pytest.raises(BundleError, match=r"prefix_kv\.npz.*; export the bundle again"):
        Qwen3Reranker(copy, provider="cpu")


def test_a_prefix_may_be_half_off_or_as_far_as_its_export_measured(int8: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(int8, tmp_path / "copy"))
    bundle = open_bundle(copy)
    session = open_session(bundle, "cpu")
    assert bundle.manifest.graph.fidelity is not None and session.prefix is not None
    measured = bundle.manifest.graph.fidelity.prefix_distance
    assert measured is not None and measured == pytest.approx(prefix_distance(session), rel=0.1)
    check_conformance(bundle, session)
    values = np.asarray(session.prefix.keys_values)
    noise = np.random.default_rng(0).normal(size=values.shape).astype(np.float32)
    noise *= 0.6 * np.linalg.norm(values) / np.linalg.norm(noise)
    write_prefix(copy / PREFIX_KV_FILE, PrefixKV(session.prefix.ids, values + noise))
    reseal(copy)
    with pytest.raises(BundleError, match="not those of the graph"):
        check_conformance(open_bundle(copy), open_session(open_bundle(copy), "cpu"))
    graph = {**json.loads((copy / MANIFEST_FILE).read_text("utf-8"))["graph"]}
    noisier = {**graph, "fidelity": {**graph["fidelity"], "prefix_distance": 0.6}}
    edit_manifest(copy, graph=noisier)  # a precision that is so far off may have such a prefix
    check_conformance(open_bundle(copy), open_session(open_bundle(copy), "cpu"))


def test_kendall_tau() -> None:
    order = np.arange(5.0)
    assert kendall_tau(order, order * 2) == 1
    assert kendall_tau(order, -order) == -1
    assert kendall_tau(order, np.array([1.0, 0, 2, 3, 4])) == pytest.approx(0.8)
    assert kendall_tau(np.zeros(3), np.zeros(3)) == 1


def test_scores_that_are_no_numbers_are_the_worst() -> None:
    measured = compare_scores(np.array([0.1, np.nan, 0.3]), np.array([0.1, 0.2, 0.3]), [3]).fidelity()
    assert (measured.tau, measured.largest_difference) == (-1, np.inf)
