"""Export refuses what can't become a bundle with one clear sentence, and leaves nothing behind."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from aatm_onnx_export import export_checkpoint
from aatm_onnx_export.kinds import KINDS
from aatm_onnx_export.progress import Progress
from safetensors.torch import save_file

from aatm_onnx.bundle import open_bundle
from aatm_onnx.errors import ExportError

from .checkpoints import make_checkpoint, rewrite_header, rewrite_weights

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in several shards."""
    return make_checkpoint(tmp_path_factory.mktemp("sharded") / "checkpoint", shards=4, tied=False)


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def drop_token(folder: Path, word: str) -> None:
    """Take a word and the merges that make it out of the vocabulary, keeping all other ids."""
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    token_id = tokenizer["model"]["vocab"].pop(word)
    tokenizer["model"]["vocab"]["<unused>"] = token_id
    merges = tokenizer["model"]["merges"]
    parts = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    keep = [word not in (*part, "".join(part)) for part in parts]
    tokenizer["model"]["merges"] = [merge for merge, kept in zip(merges, keep, strict=True) if kept]
    file.write_text(json.dumps(tokenizer))


def truncate(file: Path, size: int) -> None:
    with file.open("r+b") as stream:
        stream.truncate(size)


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "other architecture": (
        lambda folder: edit_config(folder, architectures=["LlamaForCausalLM"], model_type="llama"),
        "not a Qwen3 causal LM: its config.json says LlamaForCausalLM",
    ),
    "embedding model": (
        lambda folder: edit_config(folder, architectures=["Qwen3Model"]),
        "not a Qwen3 causal LM: its config.json says Qwen3Model",
    ),
    "sliding window": (lambda folder: edit_config(folder, use_sliding_window=True), "sliding-window"),
    "rope by length": (
        lambda folder: edit_config(folder, rope_scaling={"rope_type": "dynamic", "factor": 2.0}),
        "'dynamic'",
    ),
    "rope by length, as transformers 5 says it": (
        lambda folder: edit_config(folder, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6}),
        "'dynamic'",
    ),
    "no rope": (lambda folder: edit_config(folder, rope_theta=None), "gives None for rope_theta"),
    "no epsilon": (lambda folder: edit_config(folder, rms_norm_eps="1e-6"), "gives '1e-6' for rms_norm_eps"),
    "scaling by name": (lambda folder: edit_config(folder, rope_scaling="yarn"), "gives 'yarn' for rope_scaling"),
    "architectures": (lambda folder: edit_config(folder, architectures=5), "gives 5 for architectures"),
    "quantized": (
        lambda folder: edit_config(folder, quantization_config={"quant_method": "gptq"}),
        "quantized weights",
    ),
    "unknown to transformers": (
        lambda folder: edit_config(folder, hidden_act="foo"),
        "transformers can't load damaged ('foo'",
    ),
    "heads": (lambda folder: edit_config(folder, num_key_value_heads=3), "4 query heads of 32 for 3 key-value heads"),
    "no size": (lambda folder: edit_config(folder, hidden_size=None), "hidden_size"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "broken config": (lambda folder: (folder / "config.json").write_text("{"), "config.json can't be read"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
    "broken tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json can't be read"),
    "no yes": (lambda folder: drop_token(folder, "yes"), 'no single token for "yes"'),
    "no no": (lambda folder: drop_token(folder, "no"), 'no single token for "no"'),
    "vocabulary": (lambda folder: edit_config(folder, vocab_size=151_000), "token ids up to 151668"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "has no weights"),
    "truncated weights": (lambda folder: truncate(folder / WEIGHTS, 100_000), "model.safetensors is truncated"),
    "truncated header": (lambda folder: truncate(folder / WEIGHTS, 20), "model.safetensors is truncated"),
    "not safetensors": (
        lambda folder: (folder / WEIGHTS).write_bytes(b"\x02" + bytes(7) + b"oh" + bytes(100)),
        "not a safetensors file",
    ),
    "other bytes": (
        lambda folder: rewrite_header(folder, lambda header: header["model.norm.weight"].update(data_offsets=[0, 4])),
        "is damaged: model.norm.weight",
    ),
    "not a number": (
        lambda folder: rewrite_weights(folder, lambda weights: weights["model.norm.weight"].fill_(torch.nan)),
        "gives scores that are not numbers",
    ),
    "lacks a tensor": (
        lambda folder: rewrite_weights(folder, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight")),
        "lack model.layers.1.mlp.up_proj.weight",
    ),
    "other shape": (lambda folder: edit_config(folder, intermediate_size=80), "mlp.gate_proj.weight has shape"),
}


@pytest.mark.parametrize(("damage", "message"), REFUSALS.values(), ids=REFUSALS)
def test_a_checkpoint_is_refused(
    checkpoint: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    damage(folder)
    with pytest.raises(ExportError, match="damaged") as refusal:
        export_checkpoint(str(folder), tmp_path / "out" / "bundle", graph="standard")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda shard: shard.unlink(), "is missing", id="missing"),
        pytest.param(lambda shard: truncate(shard, shard.stat().st_size - 1), "is truncated", id="truncated"),
    ],
)
def test_a_damaged_shard_is_named(
    sharded: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(sharded, folder)
    shard = sorted(folder.glob("*.safetensors"))[1]
    damage(shard)
    with pytest.raises(ExportError, match=message) as refusal:
        export_checkpoint(str(folder), tmp_path / "bundle", graph="standard")
    assert shard.name in str(refusal.value)


def test_a_shard_without_a_tensor_of_the_index_is_named(sharded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(sharded, folder)
    shard = sorted(folder.glob("*.safetensors"))[0]
    save_file({"other": torch.zeros(1)}, shard)
    with pytest.raises(ExportError, match=r"lacks .* places there") as refusal:
        export_checkpoint(str(folder), tmp_path / "bundle", graph="standard")
    assert shard.name in str(refusal.value)


def test_unknown_graphs_and_precisions_are_refused_with_those_there_are(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no graph called 'fancy'; choose from .*standard"):
        export_checkpoint(str(checkpoint), tmp_path / "bundle", graph="fancy")
    with pytest.raises(ExportError, match="no precision 'int3'; choose from fp32, fp16"):
        export_checkpoint(str(checkpoint), tmp_path / "bundle", graph="standard", precision="int3")


@pytest.mark.parametrize(
    ("graph", "precision", "name"),
    [
        ("standard", "fp16", "model.embed_tokens.weight"),
        ("fused", "fp16", "model.embed_tokens.weight"),
        ("fused", "int8", "model.layers.2.mlp.down_proj.weight"),  # of the last layer, which stays in float16
        ("cuda", "fp16", "model.embed_tokens.weight"),
        ("cuda", "fp16", "model.layers.0.mlp.gate_proj.weight"),
    ],
)
def test_a_weight_beyond_float16_is_refused(
    checkpoint: Path, tmp_path: Path, graph: str, precision: str, name: str
) -> None:
    folder = tmp_path / "large"
    shutil.copytree(checkpoint, folder)
    rewrite_weights(folder, lambda weights: weights[name][0].fill_(70_000.0))  # of a token that no prompt here has
    with pytest.raises(ExportError, match="beyond float16's 65504"):
        export_checkpoint(
            str(folder),
            tmp_path / "bundle",
            precision=precision,
            graph=graph,
            min_tau=-1 if precision == "int8" else None,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["large"]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int4"])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_weight_that_is_no_number_is_refused(checkpoint: Path, tmp_path: Path, precision: str, value: float) -> None:
    folder, name = Path(shutil.copytree(checkpoint, tmp_path / "broken")), "model.embed_tokens.weight"
    rewrite_weights(folder, lambda weights: weights[name][0, 0].fill_(value))  # of a token that no prompt here has
    with pytest.raises(ExportError, match=rf"model\.safetensors: {name} has values that are not numbers"):
        export_checkpoint(
            str(folder), tmp_path / "bundle", precision=precision, min_tau=-1 if "int" in precision else None
        )
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_what_is_not_installed_is_named(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "standard", replace(KINDS["standard"], requires=("no_such_package.part",)))
    with pytest.raises(ExportError, match=r"needs no_such_package: pip install 'aatm-onnx\[export\]'"):
        export_checkpoint(str(checkpoint), tmp_path / "bundle", graph="standard")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prefix": "an example " * 2500}, r"would open this bundle: its prompt's prefix and suffix have \d+ tokens"),
        ({"max_length": 2**31 + 1}, "would open this bundle: its max_length is 2147483649, more than"),
        ({"max_length": 512.0}, "max_length must be a whole number, not 512.0"),
        ({"task": None}, "The task must be a string, not NoneType"),
    ],
)
def test_values_that_no_reranker_takes_are_refused_at_once(
    checkpoint: Path, bundle: Path, tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    output = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    steps: list[Progress] = []
    with pytest.raises(ValueError, match=message):
        export_checkpoint(checkpoint, output, force=True, progress=steps.append, **values)
    assert len(steps) <= 1  # the checkpoint was read
    assert len(list(open_bundle(output).check_hashes())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
