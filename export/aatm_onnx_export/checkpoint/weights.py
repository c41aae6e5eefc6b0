"""The weights of a checkpoint, a few rows at a time, without torch.

Tensors are read, not memory-mapped, so that a large checkpoint's pages don't pile up in memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from aatm_onnx.bundle import ModelConfig
from aatm_onnx.errors import ExportError

from .checkpoint import Checkpoint
from .config import DEFAULT_ROPE_THETA, rope_type
from .safetensors import Tensor

FloatArray = NDArray[np.float32]

_STORED_DTYPES: dict[str, DTypeLike] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class CheckpointWeights:
    """Reads weights by their transformers names.

    Attributes:
        config: the model's sizes.
        rms_norm_eps: what RMSNorm adds to a mean square.
        rope_theta: the base of the rotary positions.
        tensors: where each weight lies on disk.
        output_scales: what each output (row) of a weight is multiplied with, (out,), where that is not 1.
        input_scales: what each input (column) of a weight is multiplied with, (in,), where that is not 1.
        kept: which rows (axis 0) or columns (axis 1) of a weight there are, where some are left out.
    """

    config: ModelConfig
    rms_norm_eps: float
    rope_theta: float
    tensors: Mapping[str, Tensor]
    output_scales: Mapping[str, FloatArray] = field(default_factory=dict)
    input_scales: Mapping[str, FloatArray] = field(default_factory=dict)
    kept: Mapping[str, tuple[int, NDArray[np.int64]]] = field(default_factory=dict)

    @property
    def group(self) -> int:
        """How many query heads share a key/value head."""
        return self.config.num_attention_heads // self.config.num_key_value_heads

    def rescaled(
        self, output_scales: Mapping[str, FloatArray], input_scales: Mapping[str, FloatArray]
    ) -> "CheckpointWeights":
        """The same weights, some of their rows or columns multiplied."""
        return replace(self, output_scales=output_scales, input_scales=input_scales)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a weight, (out, in)."""
        shape = self.tensors[name].shape
        if name not in self.kept:
            return shape
        axis, indices = self.kept[name]
        return *shape[:axis], len(indices), *shape[axis + 1 :]

    def whole(self, name: str) -> FloatArray:
        """One whole weight as float32."""
        return self.rows(name, 0, self.shape(name)[0])

    def row_blocks(self, name: str, rows: int) -> Iterator[FloatArray]:
        """A weight in blocks of at most `rows` rows of its first axis."""
        total = self.shape(name)[0]
        for start in range(0, total, rows):
            yield self.rows(name, start, min(start + rows, total))

    def rows(self, name: str, start: int, stop: int) -> FloatArray:
        """Rows `start` to `stop` of a weight's first axis, as float32.

        Raises:
            ExportError: its file ends too early, or a value is infinite or not a number.
        """
        if name not in self.kept:
            return self._stored_rows(name, start, stop)
        axis, indices = self.kept[name]
        if axis:
            return self._stored_rows(name, start, stop).take(indices, axis)
        first, last = int(indices[start]), int(indices[stop - 1])  # in order
        return self._stored_rows(name, first, last + 1)[indices[start:stop] - first]

    def no_yes_rows(self, no_token_id: int, yes_token_id: int) -> FloatArray:
        """The two rows of lm_head that a score needs, as a weight (hidden, 2)."""
        name = "model.embed_tokens.weight" if self.config.tie_word_embeddings else "lm_head.weight"
        return np.concatenate([self.rows(name, token, token + 1) for token in (no_token_id, yes_token_id)]).T

    def _stored_rows(self, name: str, start: int, stop: int) -> FloatArray:
        tensor = self.tensors[name]
        dtype = np.dtype(_STORED_DTYPES[tensor.dtype])
        row_size = int(np.prod(tensor.shape[1:], dtype=np.int64))
        with tensor.file.open("rb") as stream:
            stream.seek(tensor.start + start * row_size * dtype.itemsize)
            values = np.fromfile(stream, dtype, (stop - start) * row_size)
        if values.size != (stop - start) * row_size:
            raise ExportError(f"{tensor.file} ends inside {name}; download the checkpoint again.")
        floats = _as_float32(values, tensor.dtype)
        if not np.isfinite([floats.min(), floats.max()]).all():
            raise ExportError(f"{tensor.file}: {name} has values that are not numbers; download the checkpoint again.")
        return self._rescale(name, floats.reshape(stop - start, *tensor.shape[1:]), start, stop)

    def _rescale(self, name: str, values: FloatArray, start: int, stop: int) -> FloatArray:
        if (scales := self.output_scales.get(name)) is not None:
            values = values * scales[start:stop].reshape(-1, *[1] * (values.ndim - 1))
        if (scales := self.input_scales.get(name)) is not None:
            values = values * scales
        return values


def read_weights(checkpoint: Checkpoint) -> CheckpointWeights:
    """Take from a checkpoint what the fused graphs need.

    Raises:
        ExportError: the model has what these graphs can't express (biases, scaled rotary positions, another
            activation), or weights of a type that can't be read.
    """
    config = checkpoint.raw_config
    _refuse_unsupported(config, checkpoint.source.checkpoint)
    for name, tensor in checkpoint.tensors.items():
        if tensor.dtype not in _STORED_DTYPES:
            raise ExportError(f"{tensor.file}: {name} is stored as {tensor.dtype}; only F32, F16 and BF16 can be read.")
    return CheckpointWeights(
        config=checkpoint.config,
        rms_norm_eps=float(config.get("rms_norm_eps", 1e-6)),  # Qwen3Config's default
        rope_theta=float(config.get("rope_theta", DEFAULT_ROPE_THETA)),
        tensors=checkpoint.tensors,
    )


def _refuse_unsupported(config: Mapping[str, Any], where: str) -> None:
    for name, value, supported in (
        ("attention_bias", config.get("attention_bias", False), False),
        ("hidden_act", config.get("hidden_act", "silu"), "silu"),
        ("rope_scaling", rope_type(config.get("rope_scaling") or {}), "default"),
    ):
        if value != supported:
            raise ExportError(
                f"{where} has {name} {value!r}, which the fused graph can't express; export with --graph standard."
            )


def _as_float32(values: NDArray[Any], dtype: str) -> FloatArray:
    if dtype == "BF16":  # a bfloat16 is the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)
