"""A checkpoint as the fused graph's builder reads it: sizes, constants, and weights a few rows at a time, no torch.

Tensors are read, not memory-mapped, so that a large checkpoint's pages don't pile up in memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from aatm_onnx.bundle import ModelConfig
from aatm_onnx.errors import ExportError

from .architecture import DEFAULT_ROPE_THETA, rope_type
from .checkpoint import Checkpoint
from .safetensors_files import Tensor

FloatArray = NDArray[np.float32]

_STORED_DTYPES: dict[str, DTypeLike] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class Qwen3:
    """The sizes, the constants of norms and rotary positions, and where the weights lie.

    mean_inputs: what a weight is multiplied with on average, (in,), for those of which that was measured.
    """

    sizes: ModelConfig
    rms_norm_eps: float
    rope_theta: float
    tensors: Mapping[str, Tensor]
    mean_inputs: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def group(self) -> int:
        """How many query heads share a key/value head."""
        return self.sizes.num_attention_heads // self.sizes.num_key_value_heads

    def weight(self, name: str) -> FloatArray:
        """One whole weight as float32."""
        return self.rows(name, 0, self.tensors[name].shape[0])

    def slabs(self, name: str, rows: int) -> Iterator[FloatArray]:
        """A weight in slabs of at most `rows` rows of its first axis."""
        total = self.tensors[name].shape[0]
        for start in range(0, total, rows):
            yield self.rows(name, start, min(start + rows, total))

    def rows(self, name: str, start: int, stop: int) -> FloatArray:
        """Rows `start` to `stop` of a weight's first axis, as float32.

        Raises:
            ExportError: its file ends too early, or a value is infinite or not a number.
        """
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
        return floats.reshape(stop - start, *tensor.shape[1:])

    def head(self, no_token_id: int, yes_token_id: int) -> FloatArray:
        """The two rows of lm_head that a score needs, as a weight (hidden, 2)."""
        name = "model.embed_tokens.weight" if self.sizes.tie_word_embeddings else "lm_head.weight"
        return np.concatenate([self.rows(name, token, token + 1) for token in (no_token_id, yes_token_id)]).T


def read_qwen3(checkpoint: Checkpoint) -> Qwen3:
    """Take from a checkpoint what the fused graph needs.

    Raises:
        ExportError: the model has what the fused graph can't express (biases, scaled rotary positions, another
            activation), or weights of a type that can't be read.
    """
    config = checkpoint.config
    _refuse_unsupported(config, checkpoint.source.checkpoint)
    for name, tensor in checkpoint.tensors.items():
        if tensor.dtype not in _STORED_DTYPES:
            raise ExportError(f"{tensor.file}: {name} is stored as {tensor.dtype}; only F32, F16 and BF16 can be read.")
    return Qwen3(
        sizes=checkpoint.architecture,
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
                f"{where} has {name} {value!r}, which the fused graph does not know; export with --graph standard."
            )


def _as_float32(values: NDArray[Any], dtype: str) -> FloatArray:
    if dtype == "BF16":  # a bfloat16 is the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)
