"""The numpy model that fused exports are proved against is transformers' own."""

from pathlib import Path

import numpy as np
from aatm_onnx_export import reference, streamed_reference
from aatm_onnx_export.checkpoint import open_checkpoint


def test_the_numpy_reference_gives_transformers_logits(checkpoint: Path) -> None:
    source = open_checkpoint(str(checkpoint))
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, 150_000, length).astype(np.int32) for length in (1, 7, 90)]
    ours, theirs = (module.float32_logits(source, prompts) for module in (streamed_reference, reference))
    assert [vector.input_ids for vector in ours] == [vector.input_ids for vector in theirs]
    np.testing.assert_allclose([v.logits for v in ours], [v.logits for v in theirs], atol=5e-5)
