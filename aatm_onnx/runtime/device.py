"""Arrays that stay in a GPU's memory from one run of a session to the next, where numpy can't reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    import onnxruntime

_DTYPES: dict[str, DTypeLike] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class DeviceArray:
    """What a run left on its device, for a later run to read.

    Attributes:
        value: ONNX Runtime's tensor, contiguous.
        shape: how it is seen: as many elements as `value` has.
    """

    value: "onnxruntime.OrtValue"
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float16."""
        return np.dtype(_DTYPES[self.value.data_type()])

    def reshape(self, shape: Sequence[int]) -> "DeviceArray":
        """The same memory under another shape."""
        return DeviceArray(self.value, tuple(shape))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """A copy in the main memory."""
        array: NDArray[Any] = self.value.numpy().reshape(self.shape)
        return array if dtype is None else array.astype(dtype, copy=False)


def run_on_device(
    runtime: "onnxruntime.InferenceSession", device: str, output: str, feed: Mapping[str, NDArray[Any] | DeviceArray]
) -> DeviceArray:
    """Run a session for one output and leave it where it was computed.

    Args:
        runtime: the session.
        device: where the output is wanted: "cuda" or "cpu".
        output: its name; float32 or float16.
        feed: the inputs by name, from either memory.
    """
    import onnxruntime

    binding = runtime.io_binding()
    held = []  # a binding does not keep the arrays that it reads
    for name, array in feed.items():
        if isinstance(array, DeviceArray):
            pointer = array.value.data_ptr()
            binding.bind_input(name, array.value.device_name(), 0, array.dtype, array.shape, pointer)
        else:  # not bind_cpu_input, which does not know inputs that may be left out
            held.append(onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)))
            binding.bind_ortvalue_input(name, held[-1])
    binding.bind_output(output, device)
    binding.synchronize_inputs()
    runtime.run_with_iobinding(binding)
    binding.synchronize_outputs()
    (value,) = binding.get_outputs()
    return DeviceArray(value, tuple(value.shape()))
