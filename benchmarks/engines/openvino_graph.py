"""OpenVINO: the checkpoint as a graph that takes the keys and values of what prompts share; its files are kept."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from aatm_onnx.runtime.batches import ceil_div

from .checkpoint import torch_model

_BATCH_TOKENS = 384  # own tokens of a batch, as this package's
_WORKERS = 2


class After(torch.nn.Module):
    """Rows of one length after a past that all share: their logits, or with one row a longer past."""

    def __init__(self, model: PreTrainedModel, answers: list[int], *, extends: bool) -> None:
        """Take transformers' model and the ids of "no" and "yes"."""
        super().__init__()
        self.model, self.extends = model.model, extends
        self.answers = torch.nn.Parameter(model.lm_head.weight[answers].detach().clone())  # (2, hidden)

    def forward(self, ids: torch.Tensor, past: torch.Tensor) -> torch.Tensor:
        """(rows, own) and (layers, 2, kv_heads, past, head_dim): (rows, 2), or a longer past."""
        (rows, own), before = ids.shape, past.shape[3]
        cache = DynamicCache()
        cache.layers = [_layer(past[number, :, None].expand(-1, rows, -1, -1, -1)) for number in range(len(past))]
        least = torch.finfo(torch.float32).min
        mask = torch.cat([torch.zeros(own, before), torch.full((own, own), least).triu(1)], 1)  # (own, past + own)
        places = torch.arange(before, before + own)
        hidden = self.model(
            ids, mask[None, None], places[None], cache, cache_position=places, use_cache=True
        ).last_hidden_state
        if self.extends:
            return torch.stack([torch.stack([layer.keys[0], layer.values[0]]) for layer in cache.layers])
        return hidden[:, -1] @ self.answers.T


def _layer(past: torch.Tensor) -> DynamicLayer:
    """A layer's past, (2, rows, kv_heads, past, head_dim). `DynamicCache` would begin with a tensor without axes."""
    layer = DynamicLayer()
    layer.keys, layer.values, layer.is_initialized = past[0], past[1], True
    return layer


class OpenVINO:
    """Both graphs, compiled for one batch at a time with all threads, and for two at a time with one each."""

    name = "float32"

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Convert the checkpoint once, load the files, and run the prefix."""
        files = folder / f"qwen3-0.6b-random-openvino-{self.name}"
        extends, scores = files / "past.xml", files / "logits.xml"
        if not scores.exists():
            self._convert(folder, extends, scores, prefix)
        core, one = openvino.Core(), {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
        precise = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        self.extend = core.compile_model(extends, "CPU", one | precise)
        self.one = core.compile_model(scores, "CPU", one | precise)
        many = {"NUM_STREAMS": _WORKERS, "INFERENCE_NUM_THREADS": _WORKERS}
        self.many = openvino.AsyncInferQueue(core.compile_model(scores, "CPU", many | precise), _WORKERS)
        self.many.set_callback(self._take)
        self.past, self.prefix = self._extended(_no_past(self.extend), list(prefix)), len(prefix)
        self.found: dict[int, NDArray[np.float32]] = {}

    def quantized(self, graph: openvino.Model, past: NDArray[np.float32], vocabulary: int) -> openvino.Model:
        """A graph before its files are written; `past` is the prefix's."""
        return graph

    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """The query after the prefix once, then rows of one length."""
        past = self._extended(self.past, prompts[0][self.prefix : shared].tolist())
        own = np.stack(prompts)[:, shared:].astype(np.int64)  # (prompts, own)
        batches = list(_batches(own))
        if len(batches) == 1:
            return np.array(self.one([own, past])[0])
        for number, batch in enumerate(batches):
            self.many.start_async([batch, past], number)
        self.many.wait_all()
        return np.concatenate([self.found.pop(number) for number in range(len(batches))])

    def _convert(self, folder: Path, extends: Path, scores: Path, prefix: Sequence[int]) -> None:
        model, answers = torch_model(folder, torch.float32, 2)
        config = model.config
        empty = torch.zeros(config.num_hidden_layers, 2, config.num_key_value_heads, 0, config.head_dim)
        ids = torch.tensor([list(prefix)])
        with torch.inference_mode():
            past = After(model, answers, extends=True)(ids, empty)
        scores.parent.mkdir(exist_ok=True)
        for file, is_past in ((extends, True), (scores, False)):
            module = After(model, answers, extends=is_past).eval()
            graph = openvino.convert_model(module, example_input=(ids.repeat(1 if is_past else 2, 1), past))
            graph.reshape({0: [-1, -1], 1: [-1 if axis == 3 else size for axis, size in enumerate(empty.shape)]})
            graph = self.quantized(graph, past.numpy(), config.vocab_size)
            openvino.save_model(graph, file, compress_to_fp16=False)

    def _take(self, request: openvino.InferRequest, number: int) -> None:
        self.found[number] = request.get_output_tensor(0).data.copy()

    def _extended(self, past: NDArray[np.float32], ids: list[int]) -> NDArray[np.float32]:
        return np.array(self.extend([np.array([ids]), past])[0])


def _batches(own: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """As many as there are workers at least, if there are rows for more than one each."""
    rows = len(own) if len(own) < 2 * _WORKERS else ceil_div(len(own), _WORKERS)
    rows = min(rows, max(1, _BATCH_TOKENS // own.shape[1]))
    for start in range(0, len(own), rows):
        yield own[start : start + rows]


def _no_past(graph: openvino.CompiledModel) -> NDArray[np.float32]:
    shape = graph.input(1).get_partial_shape()
    return np.zeros([0 if size.is_dynamic else size.get_length() for size in shape], np.float32)
