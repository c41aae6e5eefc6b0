"""One ONNX Runtime session over a bundle's graph: execution provider, threads, one run."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .bundle import HEAD_FILE, Bundle
from .cuda import why_no_cuda
from .device import DeviceArray, run_on_device
from .errors import INSTALL, BundleError, ProviderError
from .past import Past, read_past
from .prompt import TokenIds
from .saturation import EXACT_PRODUCTS, products_saturate
from .sharing import common_length

if TYPE_CHECKING:
    import onnxruntime

Provider = Literal["auto", "cpu", "cuda"]

_INPUTS = {"input_ids", "attention_mask"}
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container, as Linux's second version of cgroups says it
# How much of the last prompt's beginning is kept: prompt, task and a query, 29 MB in float32 for 128 tokens of 0.6B.
_REMEMBERED_TOKENS = 128


@dataclass
class Session:
    """A graph that is ready to run.

    provider: the execution provider that really runs it, "cpu" or "cuda".
    head: what prompts of the bundle begin with, run at export in full precision; without tokens where the bundle has
        none, None if the graph can't share beginnings.
    at_once: how many batches to run at a time.
    run_options: what ONNX Runtime is told with every run on the CPU.
    """

    runtime: "onnxruntime.InferenceSession"
    provider: Literal["cpu", "cuda"]
    head: Past | None = None
    at_once: int = 1
    run_options: "onnxruntime.RunOptions | None" = None
    _last_begun: Past | None = None

    def logits(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], past: Past | None = None
    ) -> NDArray[np.float32]:
        """Run one left-padded batch.

        Args:
            input_ids, attention_mask: shape (batch, seq).
            past: what stands before every row, where there is something.

        Returns:
            The logits of "no" and "yes" after each row's last token, shape (batch, 2), float32.
        """
        feed: dict[str, NDArray[Any] | DeviceArray] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if past is not None:
            feed["past"] = past.keys_values
        return np.asarray(self._run("logits", feed), np.float32)  # (batch, 2)

    def past_of(self, ids: TokenIds, before: Past | None = None) -> Past:
        """The past of what follows `ids`, (seq,).

        It goes on from `before`, as far as that agrees with `ids`; without it, from the bundle's head or from the past
        that was last begun here: one query after another starts with the same words, which so are run once in a
        process. Whichever agrees longer: tokens that the head has are never taken from elsewhere, for its keys and
        values are more exact than this graph's, and a score would show what was run before.
        """
        if self.head is None:
            raise ValueError(f"The graph of this session, on {self.provider}, can't share beginnings.")
        known = [before] if before else [self.head, *([self._last_begun] if self._last_begun else [])]
        past = max(known, key=lambda past: common_length(past.ids, ids))
        past = past.first(common_length(past.ids, ids))
        own = ids[None, len(past.ids) :].astype(np.int64)  # (1, own)
        if own.size:
            feed = {"input_ids": own, "attention_mask": np.ones_like(own), "keep_rows": np.array([1])}
            present = self._run("present", feed | {"past": past.keys_values})
            present = present.reshape(present.shape[1:])
            whole = present.shape[3] == len(ids)  # as the graph for CUDA gives it; others give what is new
            past = Past(ids, present) if whole else past.followed_by(ids, present)
        if before is None:
            self._last_begun = past.first(min(len(ids), _REMEMBERED_TOKENS))
        return past

    def _run(self, output: str, feed: Mapping[str, NDArray[Any] | DeviceArray]) -> NDArray[Any] | DeviceArray:
        """One output, left on the GPU where there is one: a past then need not travel to the CPU and back."""
        if self.provider == "cuda":
            return run_on_device(self.runtime, "cuda", output, feed)
        result: NDArray[Any] = self.runtime.run([output], feed, self.run_options)[0]
        return result


def open_session(
    bundle: Bundle, provider: Provider = "auto", threads: int | None = None, *, keep_memory: bool = True
) -> Session:
    """Load a bundle's graph into ONNX Runtime.

    Args:
        bundle: an opened bundle.
        provider: "cuda" and "cpu" are taken at their word; "auto" takes CUDA where ONNX Runtime really can.
        threads: threads that compute on the CPU; None lets every CPU that this process may use work, and more threads
            than these are not started.
        keep_memory: keep the memory of one run for the next; without it ONNX Runtime's arena shrinks after every run
            on the CPU.

    Raises:
        ImportError: ONNX Runtime is not installed.
        ProviderError: CUDA was asked for and can't be used.
        BundleError: the graph can't be loaded or does not have the inputs and outputs of a reranker.
    """
    if provider not in ("auto", "cpu", "cuda"):
        raise ValueError(f"provider must be 'auto', 'cpu' or 'cuda', not {provider!r}.")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}.")
    ort = import_onnxruntime()
    threads = min(threads or _usable_cpus(), _usable_cpus())
    options = _options(ort, bundle, threads)
    if provider != "cpu" and (runtime := _open_on_cuda(ort, bundle, options, required=provider == "cuda")):
        return Session(runtime, "cuda", _head(runtime, bundle))
    runtime = _open(ort, bundle, cpu_options(ort, bundle, threads), ["CPUExecutionProvider"])
    run_options = None if keep_memory else _giving_back(ort)
    return Session(runtime, "cpu", _head(runtime, bundle), at_once=min(2, threads), run_options=run_options)


def _options(ort: Any, bundle: Bundle, threads: int) -> "onnxruntime.SessionOptions":
    options: onnxruntime.SessionOptions = ort.SessionOptions()
    options.log_severity_level = 3  # errors only
    # Two batches run at a time, so that no CPU waits for another at the end of every operator. Both their threads
    # compute, and ONNX Runtime adds one fewer than it is told.
    options.intra_op_num_threads = max(1, threads - 1)
    if bundle.manifest.graph.precision == "int8" and products_saturate():
        options.add_session_config_entry(EXACT_PRODUCTS, "1")
    return options


def cpu_options(ort: Any, bundle: Bundle, threads: int) -> "onnxruntime.SessionOptions":
    """How a bundle's graph is opened on the CPU, for `threads` threads that compute."""
    options = _options(ort, bundle, threads)
    # It would plan each shape of batch as one block, beside the blocks that other shapes left in the arena.
    options.enable_mem_pattern = False
    # It would look for a dead buffer for every tensor while the session opens: up to 1.31 that takes 3 of 4 seconds at
    # 0.6B. Runs are no slower without, for taking memory from the arena is cheap (onnxruntime pull request 7359).
    options.enable_mem_reuse = False
    return options


def _giving_back(ort: Any) -> "onnxruntime.RunOptions":
    """The arena shrinks after a run. Without an arena ONNX Runtime is slower, and malloc gives less back."""
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def import_onnxruntime() -> Any:
    """Import ONNX Runtime, or say what to install."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"The neural reranker needs ONNX Runtime, which can't be imported ({error}): {INSTALL}."
        ) from error
    return onnxruntime


def _usable_cpus() -> int:
    """CPUs this process may run on: fewer than the machine's under taskset, or in a container with a set or a quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, _CPU_QUOTA.read_text().split())  # microseconds of a period, for all CPUs together
    except (OSError, ValueError):  # no cgroups here, or "max": no quota
        return cpus
    return max(1, min(cpus, -(-quota // period)))


def _open(ort: Any, bundle: Bundle, options: Any, providers: list[str]) -> "onnxruntime.InferenceSession":
    try:
        runtime = ort.InferenceSession(str(bundle.graph_path), options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise BundleError(f"ONNX Runtime can't load {bundle.graph_path} ({error}); export the bundle again.") from error
    inputs = {node.name for node in runtime.get_inputs()}
    outputs = {node.name for node in runtime.get_outputs()}
    if inputs != _INPUTS or "logits" not in outputs:
        raise BundleError(
            f"{bundle.graph_path} has inputs {sorted(inputs)} and outputs {sorted(outputs)}, where a reranker has"
            f" {sorted(_INPUTS)} and ['logits']; export the checkpoint with `aatm-onnx export`."
        )
    return runtime


def empty_past(runtime: "onnxruntime.InferenceSession") -> Past | None:
    """A past of no tokens, in shape and type of the graph's optional input "past", if it has one."""
    for node in runtime.get_overridable_initializers():
        if node.name == "past":
            dtype = np.float16 if "float16" in node.type else np.float32
            shape = [size if isinstance(size, int) else 0 for size in node.shape]
            return Past(np.empty(0, np.int32), np.empty(shape, dtype))
    return None


def _head(runtime: "onnxruntime.InferenceSession", bundle: Bundle) -> Past | None:
    """The bundle's head, or an empty one."""
    empty = empty_past(runtime)
    file = bundle.path / HEAD_FILE
    return read_past(file, empty) if empty and file.exists() else empty


def _open_on_cuda(ort: Any, bundle: Bundle, options: Any, *, required: bool) -> "onnxruntime.InferenceSession | None":
    """A session on CUDA; None where there is none, with one warning if this ONNX Runtime was installed for it."""
    if not (reason := why_no_cuda(ort)):
        runtime = _open(ort, bundle, options, ["CUDAExecutionProvider", "CPUExecutionProvider"])
        if "CUDAExecutionProvider" in runtime.get_providers():
            return runtime
        reason = "ONNX Runtime could not start a session on it (its log says why)."
    if required:
        raise ProviderError(f"CUDA can't be used: {reason} Its libraries come with pip install 'aatm-onnx[gpu]'.")
    if "CUDAExecutionProvider" in ort.get_available_providers():
        _warn_once(f"CUDA can't be used: {reason} The reranker runs on the CPU.")
    return None


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=5)
