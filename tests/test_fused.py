"""The fused graph gives transformers' logits, whatever is shared, padded or batched together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from aatm_onnx_export.checkpoint import Checkpoint, open_checkpoint
from aatm_onnx_export.graph import cuda as cuda_graph
from aatm_onnx_export.graph.fused import Storage, write_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import Qwen3ForCausalLM

from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import left_pad
from aatm_onnx.runtime.device import run_on_device

from .checkpoints import VOCABULARY, make_checkpoint

Prompt = list[int]


@dataclass(frozen=True)
class FusedGraph:
    """A fused graph in ONNX Runtime, and the torch model that it came from."""

    session: onnxruntime.InferenceSession
    model: Qwen3ForCausalLM
    answers: list[int]

    def logits(self, rows: Sequence[Prompt], past: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Logits of rows run as one batch after `past`, (batch, 2)."""
        feed = self.feed(rows, past) | {"keep_rows": np.array([0])}
        result: NDArray[np.float32] = self.session.run(["logits"], feed)[0]
        return result

    def present(self, rows: Sequence[Prompt], past: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Each row's past for what follows it, `past` included; the rows must be equally long."""
        feed = self.feed(rows, past) | {"keep_rows": np.array([len(rows)])}
        own: NDArray[np.float32] = self.session.run(["present"], feed)[0]
        return own if past is None else np.stack([np.concatenate([past, row], axis=3) for row in own])

    def expected(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Logits of whole prompts from transformers in float32, each alone, (batch, 2)."""
        with torch.inference_mode():
            rows = [self.model(torch.tensor([ids]), logits_to_keep=1).logits[0, -1, self.answers] for ids in prompts]
        return torch.stack(rows).numpy()

    def feed(self, rows: Sequence[Prompt], past: NDArray[np.float32] | None = None) -> dict[str, NDArray[Any]]:
        """Every input but `keep_rows`: rows as one batch after `past`."""
        input_ids, attention_mask = left_pad([np.array(row, np.int32) for row in rows], 0)
        if past is None:
            (declared,) = (node for node in self.session.get_inputs() if node.name == "past")
            shape = [size if isinstance(size, int) else 0 for size in declared.shape]
            past = np.empty(shape, np.float16 if "float16" in declared.type else np.float32)
        return {"input_ids": input_ids, "attention_mask": attention_mask, "past": past}


def _graph(folder: Path, write: Callable[[Checkpoint, Path], None]) -> FusedGraph:
    checkpoint = open_checkpoint(str(folder))
    write(checkpoint, folder)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return FusedGraph(session, model, [checkpoint.no_token_id, checkpoint.yes_token_id])


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> FusedGraph:
    """Untied embeddings, weights spread so far that logits differ by several units."""
    folder = make_checkpoint(tmp_path_factory.mktemp("fp32"), tied=False, shards=3, spread=0.2)
    return _graph(folder, partial(write_graph, storage=Storage("fp32")))


@pytest.fixture(scope="module", params=[(), (1,)], ids=["all layers quantized", "one in the middle in float"])
def int8(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FusedGraph:
    """The same in eight bits, tied."""
    storage = Storage("int8", float_layers=frozenset(request.param))
    return _graph(make_checkpoint(tmp_path_factory.mktemp("int8"), spread=0.2), partial(write_graph, storage=storage))


@pytest.fixture(scope="module")
def cuda(tmp_path_factory: pytest.TempPathFactory) -> FusedGraph:
    """The graph for CUDA; here the CPU runs it, in float32 between casts."""
    folder = make_checkpoint(tmp_path_factory.mktemp("cuda"), tied=False, spread=0.2)
    return _graph(folder, partial(cuda_graph.write_graph, precision="fp16"))


tokens = st.integers(0, VOCABULARY - 1)
prompts = st.lists(tokens, min_size=1, max_size=40)
batches = st.lists(prompts, min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(rows=batches, prefix=st.lists(tokens, max_size=20), query=st.lists(tokens, max_size=20))
def test_float_logits_are_transformers_with_any_part_shared(
    fp32: FusedGraph, rows: list[Prompt], prefix: Prompt, query: Prompt
) -> None:
    """The past is built up in steps (prefix, then query), each of which may be empty."""
    past = None
    for step in (prefix, query):
        if step:
            past = fp32.present([step], past)[0]
    whole = [prefix + query + row for row in rows]
    expected = fp32.expected(whole)
    np.testing.assert_allclose(fp32.logits(rows, past), expected, atol=5e-5)
    np.testing.assert_allclose(fp32.logits(whole), expected, atol=5e-5)


@settings(max_examples=15, deadline=None)
@given(rows=batches, prefix=st.lists(tokens, max_size=20))
def test_the_cuda_graph_gives_them_in_half_precision(cuda: FusedGraph, rows: list[Prompt], prefix: Prompt) -> None:
    past = cuda.present([prefix])[0] if prefix else None
    np.testing.assert_allclose(cuda.logits(rows, past), cuda.expected([prefix + row for row in rows]), atol=0.03)


@settings(max_examples=20, deadline=None)
@given(queries=st.lists(st.lists(tokens, min_size=7, max_size=7), min_size=2, max_size=4), prefix=prompts, row=prompts)
def test_rows_kept_from_one_run_are_each_a_past_of_their_own(
    fp32: FusedGraph, queries: list[Prompt], prefix: Prompt, row: Prompt
) -> None:
    pasts = fp32.present(queries, fp32.present([prefix])[0])
    for query, past in zip(queries, pasts, strict=True):
        np.testing.assert_allclose(fp32.logits([row], past), fp32.expected([prefix + query + row]), atol=5e-5)


@settings(max_examples=30, deadline=None)
@given(rows=batches, prefix=st.lists(tokens, max_size=20), query=prompts)
def test_rows_after_a_kept_one_come_after_its_tokens(
    fp32: FusedGraph, rows: list[Prompt], prefix: Prompt, query: Prompt
) -> None:
    past = fp32.present([prefix])[0] if prefix else None
    feed = fp32.feed([query, *rows], past) | {"keep_rows": np.array([1])}
    logits, present = fp32.session.run(["logits", "present"], feed)
    np.testing.assert_allclose(logits[1:], fp32.expected([prefix + query + row for row in rows]), atol=5e-5)
    np.testing.assert_allclose(logits[:1], fp32.expected([prefix + query]), atol=5e-5)
    own = present[0, ..., -len(query) :, :]
    whole = own if past is None else np.concatenate([past, own], axis=3)
    np.testing.assert_allclose(whole, fp32.present([prefix + query])[0], atol=5e-5)


@settings(max_examples=30, deadline=None)
@given(rows=batches, shared=prompts)
def test_an_int8_logit_is_the_same_whether_what_rows_share_is_a_past_or_a_row(
    int8: FusedGraph, rows: list[Prompt], shared: Prompt
) -> None:
    after_past = int8.logits(rows, int8.present([shared])[0])
    feed = int8.feed([shared, *rows]) | {"keep_rows": np.array([1])}
    after_row = int8.session.run(["logits"], feed)[0][1:]
    np.testing.assert_allclose(_score(after_row), _score(after_past), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(rows=batches, shared=prompts)
def test_an_int8_logit_does_not_depend_on_its_neighbours(int8: FusedGraph, rows: list[Prompt], shared: Prompt) -> None:
    """Not even by the step that a float's last bit can decide: sums don't depend on padding or on what is shared."""
    past = int8.present([shared])[0]
    together = int8.logits(rows, past)
    alone = np.concatenate([int8.logits([row], past) for row in rows])
    np.testing.assert_allclose(_score(together), _score(alone), atol=1e-6)


def test_int8_stays_close_to_float(int8: FusedGraph) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, VOCABULARY, length).tolist() for length in rng.integers(5, 60, 40)]
    expected = int8.expected(rows)
    difference = int8.logits(rows) - expected
    assert np.abs(difference).mean() < 0.05 * expected.std()


def test_a_past_that_stays_on_the_device_is_the_one_that_travels(fp32: FusedGraph) -> None:
    """Here the device is the CPU; on a GPU a session runs nothing but this."""
    keep, drop = {"keep_rows": np.array([1])}, {"keep_rows": np.array([0])}
    stayed = run_on_device(fp32.session, "cpu", "present", fp32.feed([[1, 2, 3]]) | keep)
    past = stayed.reshape(stayed.shape[1:])
    np.testing.assert_array_equal(past, fp32.present([[1, 2, 3]])[0])
    logits = run_on_device(fp32.session, "cpu", "logits", fp32.feed([[4, 5], [6]]) | {"past": past} | drop)
    np.testing.assert_allclose(logits, fp32.expected([[1, 2, 3, 4, 5], [1, 2, 3, 6]]), atol=5e-5)


def test_no_rows_kept_is_no_keys_copied(fp32: FusedGraph) -> None:
    past = fp32.present([[1, 2, 3]])[0]
    (present,) = fp32.session.run(["present"], fp32.feed([[4, 5], [6]], past) | {"keep_rows": np.array([0])})
    assert present.size == 0


def test_every_input_is_required(fp32: FusedGraph) -> None:
    """Not every binding of ONNX Runtime can feed an input that has a default."""
    assert {node.name for node in fp32.session.get_inputs()} == {"input_ids", "attention_mask", "past", "keep_rows"}
    assert fp32.session.get_overridable_initializers() == []


def test_biases_are_refused(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "biased", attention_bias=True)
    with pytest.raises(ExportError, match=r"attention_bias.*--graph standard"):
        write_graph(open_checkpoint(str(folder)), tmp_path, Storage("fp32"))


def _score(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(logits[:, 0].astype(np.float64) - logits[:, 1])))
