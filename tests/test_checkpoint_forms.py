"""Checkpoints as other tools leave them: the same scores whatever version saved them and what else lies beside them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from aatm_onnx_export import compare_with_checkpoint, export_checkpoint
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from aatm_onnx import Qwen3Reranker
from aatm_onnx.bundle import open_bundle
from aatm_onnx.runtime.session import open_session
from aatm_onnx.tokenizer import read_tokenizer

from .checkpoints import make_checkpoint, rewrite_weights
from .terminology import TERMS


def scores(bundle: Path) -> list[float]:
    return Qwen3Reranker(bundle, provider="cpu").score("high blood pressure", TERMS)


@pytest.mark.parametrize("graph", ["fused", "standard"])
def test_a_checkpoint_that_transformers_5_saved(checkpoint: Path, bundle: Path, tmp_path: Path, graph: str) -> None:
    """It keeps rope_theta in `rope_parameters`, where transformers 4 does not look."""
    saved = Path(shutil.copytree(checkpoint, tmp_path / "saved"))
    config = json.loads((saved / "config.json").read_text())
    parameters = {"rope_theta": config.pop("rope_theta"), "rope_type": "default"}
    del config["rope_scaling"]
    (saved / "config.json").write_text(json.dumps(config | {"rope_parameters": parameters}))
    exported = export_checkpoint(str(saved), tmp_path / "bundle", graph=graph)
    np.testing.assert_allclose(scores(exported.path), scores(bundle), rtol=0, atol=1e-5)
    assert compare_with_checkpoint(exported, open_session(exported, "cpu"), str(saved)).passed


def test_a_single_file_counts_even_beside_an_index(
    checkpoint: Path, fused_bundle: Path, other_checkpoint: Path, tmp_path: Path
) -> None:
    both = Path(shutil.copytree(checkpoint, tmp_path / "both"))
    shutil.copy(other_checkpoint / "model.safetensors", both / "model-00001-of-00001.safetensors")
    names = ["model.embed_tokens.weight"]
    index = {"weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
    (both / "model.safetensors.index.json").write_text(json.dumps(index))
    assert scores(export_checkpoint(str(both), tmp_path / "bundle").path) == scores(fused_bundle)


@pytest.mark.parametrize("kept", ["padding", "truncation"])
def test_what_a_tokenizer_was_last_used_for_does_not_count(
    checkpoint: Path, fused_bundle: Path, tmp_path: Path, kept: str
) -> None:
    used = Path(shutil.copytree(checkpoint, tmp_path / "used"))
    tokenizer = Tokenizer.from_file(str(used / "tokenizer.json"))
    if kept == "padding":
        tokenizer.enable_padding(direction="left", pad_id=151643, pad_token="<|endoftext|>")
    else:
        tokenizer.enable_truncation(16)
    tokenizer.save(str(used / "tokenizer.json"))
    assert scores(export_checkpoint(str(used), tmp_path / "bundle").path) == scores(fused_bundle)


def test_words_that_were_added_are_tokens_and_control_tokens_are_text(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", vocab_size=151_936)
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.add_tokens(["Hypertension", "高血圧", "<终>", *(f"wording{number}" for number in range(1000))])
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    ours = read_tokenizer(checkpoint / "tokenizer.json", control_tokens=False)
    transformers = AutoTokenizer.from_pretrained(checkpoint)
    for word in ("Hypertension", "高血圧", "wording999"):
        text = f"{word} of the newborn"
        assert ours.encode(text).ids == transformers(text)["input_ids"]
        assert ours.encode(text).ids[0] == tokenizer.token_to_id(word)
    for control in ("<think>", "<|im_end|>", "<终>"):
        assert len(ours.encode(control).ids) > 1


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.float8_e4m3fn])
def test_tensors_that_the_model_does_not_have_are_left_alone(
    checkpoint: Path, fused_bundle: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    """Buffers of training code, of types that no weight may have."""
    more = Path(shutil.copytree(checkpoint, tmp_path / "more"))
    rewrite_weights(more, lambda weights: weights.update({"model.rotary_emb.inv_freq": torch.ones(4).to(dtype)}))
    assert scores(export_checkpoint(str(more), tmp_path / "bundle").path) == scores(fused_bundle)


@pytest.mark.parametrize("token", [10**6, True, [5]])
def test_a_padding_token_that_makes_no_sense_does_no_harm(
    checkpoint: Path, bundle: Path, tmp_path: Path, token: object
) -> None:
    odd = Path(shutil.copytree(checkpoint, tmp_path / "odd"))
    (odd / "tokenizer_config.json").write_text('{"pad_token": 5}')
    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps(config | {"pad_token_id": token}))
    exported = export_checkpoint(str(odd), tmp_path / "bundle")
    assert open_bundle(exported.path).manifest.pad_token_id == 0
    np.testing.assert_allclose(scores(exported.path), scores(bundle), rtol=0, atol=1e-5)
