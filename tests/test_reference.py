"""The numpy model that exports are proved against is transformers' own."""

from pathlib import Path

import numpy as np
import torch
from aatm_onnx_export.checkpoint import open_checkpoint
from aatm_onnx_export.proof import numpy_reference, torch_reference
from transformers import Qwen3ForCausalLM


def test_the_numpy_reference_gives_transformers_logits(checkpoint: Path) -> None:
    source = open_checkpoint(str(checkpoint))
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, 150_000, length).astype(np.int32) for length in (1, 7, 90)]
    prompts += [np.append(prompts[2][:60], [5, 6]), prompts[2][:30], prompts[2]]  # what these share is run once
    ours, theirs = (module.float32_logits(source, prompts) for module in (numpy_reference, torch_reference))
    assert ours.shape == theirs.shape == (len(prompts), 2)
    np.testing.assert_allclose(ours, theirs, atol=5e-5)


def test_keys_and_values_are_transformers(checkpoint: Path) -> None:
    ids = np.random.default_rng(1).integers(0, 150_000, 40).astype(np.int32)
    past = numpy_reference.reference_run(open_checkpoint(str(checkpoint)), [], [], ids).prefix
    model = Qwen3ForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    with torch.inference_mode():
        layers = model(torch.from_numpy(ids).long()[None], use_cache=True).past_key_values.layers
    expected = np.stack([np.stack([layer.keys[0].numpy(), layer.values[0].numpy()]) for layer in layers])
    assert past.ids.tolist() == ids.tolist()
    np.testing.assert_allclose(past.keys_values, expected, atol=5e-5)


def test_what_weights_meet_on_average_is_what_transformers_gives_them(checkpoint: Path) -> None:
    rng = np.random.default_rng(2)
    prefix, *own = (rng.integers(0, 150_000, length) for length in (5, 9, 14))
    prompts = [np.concatenate([prefix, ids]).astype(np.int32) for ids in own]
    others = [prompts[0][:8], rng.integers(0, 150_000, 20).astype(np.int32)]  # whose tokens don't count
    inputs = numpy_reference.reference_run(
        open_checkpoint(str(checkpoint)), others, prompts, prefix.astype(np.int32)
    ).inputs
    model = Qwen3ForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    met: dict[str, list[torch.Tensor]] = {}
    for name, module in model.model.named_modules():
        if isinstance(module, torch.nn.Linear):
            seen = met.setdefault(f"model.{name}.weight", [])
            module.register_forward_pre_hook(lambda _, x, seen=seen: seen.append(x[0][0]))
    with torch.inference_mode():
        for ids in prompts:
            model(torch.from_numpy(ids).long()[None])
    last = f"model.layers.{model.config.num_hidden_layers - 1}."
    weights = dict(model.named_parameters())
    assert inputs.mean.keys() == inputs.largest.keys() == inputs.largest_weight.keys() == met.keys()
    for name, seen in met.items():
        # Of the last layer the graph computes keys and values for all tokens, the rest for each prompt's last one.
        alone = name.startswith(last) and not name.endswith(("k_proj.weight", "v_proj.weight"))
        rows = torch.cat([x[-1:] if alone else x[len(prefix) :] for x in seen])
        np.testing.assert_allclose(inputs.mean[name], rows.mean(0).numpy(), atol=5e-5, err_msg=name)
        np.testing.assert_allclose(inputs.largest[name], rows.abs().max(0)[0].numpy(), atol=5e-5, err_msg=name)
        largest_weight = weights[name].detach().abs().max(0)[0]
        np.testing.assert_array_equal(inputs.largest_weight[name], largest_weight.numpy(), err_msg=name)


def test_one_pass_gives_it_all(checkpoint: Path) -> None:
    """A prefix that is run with the prompts is the prefix alone, and the logits do not change."""
    source, rng = open_checkpoint(str(checkpoint)), np.random.default_rng(3)
    prefix = rng.integers(0, 150_000, 9).astype(np.int32)
    prompts = [np.concatenate([prefix, rng.integers(0, 150_000, length).astype(np.int32)]) for length in (4, 30, 12)]
    fractions: list[float] = []
    run = numpy_reference.reference_run(source, prompts[:2], prompts[2:], prefix, fractions.append)
    alone = numpy_reference.reference_run(source, [], [], prefix).prefix
    np.testing.assert_allclose(run.prefix.keys_values, alone.keys_values, atol=5e-5)
    np.testing.assert_allclose(run.logits, numpy_reference.float32_logits(source, prompts), atol=5e-5)
    assert fractions == sorted(fractions) and fractions[-1] == 1
