"""Whether ONNX Runtime can use CUDA here, and if not, why: it only writes that to its log and takes the CPU."""

import contextlib
import ctypes
import io
import sys
from pathlib import Path
from typing import Any

_WINDOWS = sys.platform == "win32"
_DRIVER = "nvcuda.dll" if _WINDOWS else "libcuda.so.1"
_PROVIDER_LIBRARIES = (
    ("onnxruntime_providers_shared.dll", "onnxruntime_providers_cuda.dll")
    if _WINDOWS
    else ("libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so")
)


def why_no_cuda(ort: Any) -> str | None:
    """Preload CUDA's libraries and try what ONNX Runtime would load.

    Args:
        ort: the imported onnxruntime module.

    Returns:
        None where CUDA can be used, else one sentence that says what is missing.
    """
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this ONNX Runtime is built without the CUDA execution provider."
    try:
        ctypes.CDLL(_DRIVER)
    except OSError as error:
        return f"there is no NVIDIA driver ({error})."
    # Finds the nvidia-* packages that the gpu extra brings. What it prints would spoil our standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()
    try:
        for library in _PROVIDER_LIBRARIES:  # the first holds symbols that the second needs
            ctypes.CDLL(str(Path(ort.__file__).parent / "capi" / library), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return f"a library that its execution provider needs can't be loaded ({error})."
    return None
