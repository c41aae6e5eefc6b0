"""ONNX Runtime: how it is imported, its execution providers, and how a graph is opened on each."""

import os
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from ..bundle import GraphFiles
from ..errors import INSTALL, BundleError, ProviderError
from ..interrupts import delaying_interrupts
from .batches import ceil_div
from .cuda import why_no_cuda
from .saturation import EXACT_PRODUCTS, products_saturate

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions, SessionOptions

Provider = Literal["auto", "cpu", "cuda"]
PROVIDERS: tuple[Provider, ...] = ("auto", "cpu", "cuda")

_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # a container's quota in Linux's second version of cgroups


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime, or say what to install.

    Raises:
        ImportError: it is not installed.
    """
    try:
        with delaying_interrupts():  # its C++ part prints a KeyboardInterrupt, and says "initialization failed"
            import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"The neural reranker needs ONNX Runtime, which can't be imported ({error}): {INSTALL}."
        ) from error
    return onnxruntime  # type: ignore[no-any-return]


def usable_cpus() -> int:
    """CPUs this process may run on: fewer than the machine's under taskset, or in a container with a set or a quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, _CPU_QUOTA.read_text().split())  # microseconds of a period, for all CPUs together
    except (OSError, ValueError):  # no cgroups here, or "max": no quota
        return cpus
    return max(1, min(cpus, ceil_div(quota, period)))


def check_provider(provider: str) -> None:
    """Refuse a provider that there is none of.

    Raises:
        ValueError: naming those that there are.
    """
    if provider not in PROVIDERS:
        raise ValueError(f"provider must be 'auto', 'cpu' or 'cuda', not {provider!r}.")


def open_on_cpu(bundle: GraphFiles, threads: int) -> "InferenceSession":
    """Open a bundle's graph on the CPU, for `threads` threads that compute.

    Raises:
        BundleError: the graph can't be loaded.
    """
    return _open(bundle, cpu_options(bundle, threads), ["CPUExecutionProvider"])


def open_on_cuda(bundle: GraphFiles, threads: int, *, required: bool) -> "InferenceSession | None":
    """Open a bundle's graph on CUDA.

    Returns:
        None where CUDA can't be used, with one warning if this ONNX Runtime was installed for it.

    Raises:
        ProviderError: it can't be used, and is `required`.
        BundleError: the graph can't be loaded.
    """
    ort = import_onnxruntime()
    if not (reason := why_no_cuda(ort)):
        runtime = _open(bundle, _options(bundle, threads), ["CUDAExecutionProvider", "CPUExecutionProvider"])
        if "CUDAExecutionProvider" in runtime.get_providers():
            return runtime
        reason = "ONNX Runtime could not start a session on it (its log says why)."
    if required:
        raise ProviderError(f"CUDA can't be used: {reason} Its libraries come with pip install 'aatm-onnx[gpu]'.")
    if "CUDAExecutionProvider" in ort.get_available_providers():
        _warn_once(f"CUDA can't be used: {reason} The reranker runs on the CPU.")
    return None


def cpu_options(bundle: GraphFiles, threads: int) -> "SessionOptions":
    """How a bundle's graph is opened on the CPU, for `threads` threads that compute."""
    options = _options(bundle, threads)
    # With it, ONNX Runtime plans the memory of each shape of batch as one block, beside those of other shapes.
    options.enable_mem_pattern = False
    # With it, ONNX Runtime looks for a dead buffer for every tensor while the session opens: up to 1.31 that takes 3 of
    # 4 seconds at 0.6B. Runs are no slower without, because taking memory from the arena is cheap (onnxruntime pull
    # request 7359).
    options.enable_mem_reuse = False
    # A thread of the pool that has nothing to do goes on looking for work for so long, in microseconds: longer than the
    # pauses between the runs of a call, and not the tens of milliseconds that it would look after every call.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "300")
    return options


def giving_back() -> "RunOptions":
    """Options by which the arena shrinks after a run. Without an arena runs are slower, and malloc gives less back."""
    options: RunOptions = import_onnxruntime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _options(bundle: GraphFiles, threads: int) -> "SessionOptions":
    options: SessionOptions = import_onnxruntime().SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = threads  # the one that calls is among them
    if bundle.precision == "int8" and products_saturate():
        options.add_session_config_entry(EXACT_PRODUCTS, "1")
    if bundle.precision == "int4":
        # KleidiAI's kernels round activations more coarsely: on ARM64 with dot product, scores of int4 were 0.029 from
        # their conformance vectors with them and 0.0002 without. On other processors this changes nothing.
        options.add_session_config_entry("mlas.disable_kleidiai", "1")
    return options


def _open(bundle: GraphFiles, options: "SessionOptions", providers: list[str]) -> "InferenceSession":
    ort = import_onnxruntime()
    falls_back = len(providers) > 1  # else ONNX Runtime would try the CPU twice, and print that to standard output
    try:
        runtime: InferenceSession = ort.InferenceSession(
            str(bundle.graph_path), options, providers=providers, enable_fallback=falls_back
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise BundleError(f"ONNX Runtime can't load {bundle.graph_path} ({error}); export the bundle again.") from error
    return runtime


@cache
def _warn_once(message: str) -> None:
    # Up through open_on_cuda, open_session and Qwen3Reranker to the user's line.
    warnings.warn(message, RuntimeWarning, stacklevel=6)
