"""One ONNX Runtime session over a bundle's graph, and what its runs are fed and give."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..bundle import GraphFiles
from ..errors import BundleError, ScoreError
from ..prompt import TokenIds
from ..ranking import check_count
from .kv_cache import PrefixKV, read_prefix
from .providers import Provider, check_provider, giving_back, open_on_cpu, open_on_cuda, usable_cpus
from .runs import Run, Runs, complete

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

# More batches side by side would take memory (160 MB each for passages at 0.6B) for little time. The threads that are
# left share their operators.
MOST_WORKERS = 8
LEADS = "rows_after_kept"  # metadata of a graph in which a batch's other rows come after those that it keeps
_STANDARD_INPUTS = {"input_ids", "attention_mask"}
_SHARING_INPUTS = _STANDARD_INPUTS | {"past", "keep_rows"}


@dataclass(frozen=True)
class Session:
    """A graph that is ready to run. It may be shared between threads.

    Attributes:
        runtime: ONNX Runtime's session.
        provider: the execution provider that really runs it, "cpu" or "cuda".
        prefix: what all prompts of the bundle begin with, run at export in float32; without tokens where the bundle has
            none, and None if the graph can't share prefixes.
        threads: how many threads compute.
        workers: how many batches to run side by side: one here, and the others on threads of the session's own.
        joins_past: whether the graph's `present` is the whole past of what follows (cuda), or its run's own part.
        leads: whether the rows of a batch can come after its first one.
        run_options: what ONNX Runtime is told with every run on the CPU.
    """

    runtime: "InferenceSession"
    provider: Literal["cpu", "cuda"]
    prefix: PrefixKV | None = None
    threads: int = 1
    workers: int = 1
    joins_past: bool = False
    leads: bool = False
    run_options: "RunOptions | None" = None

    def logits(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], prefix: PrefixKV | None = None
    ) -> NDArray[np.float32]:
        """Run one left-padded batch; see `logits_runs`."""
        return complete(self.runtime, self.logits_runs(input_ids, attention_mask, prefix))

    def logits_runs(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], prefix: PrefixKV | None = None
    ) -> Runs[NDArray[np.float32]]:
        """The run of one left-padded batch.

        Args:
            input_ids: shape (batch, seq).
            attention_mask: shape (batch, seq), 1 for a real token.
            prefix: what stands before every row, where there is something.

        Returns:
            The logits of "no" and "yes" after each row's last token, shape (batch, 2), float32.
        """
        feed: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.prefix is not None:
            past = self.prefix.first(0) if prefix is None else prefix
            feed |= {"past": past.keys_values, "keep_rows": np.zeros(1, np.int64)}
        (logits,) = yield self._run(("logits",), feed)
        return _checked(logits, len(input_ids))  # (batch, 2)

    def led_runs(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64], prefix: PrefixKV
    ) -> Runs[tuple[NDArray[np.float32], NDArray[np.floating[Any]]]]:
        """The run of one left-padded batch whose other rows come after its first.

        Args:
            input_ids: shape (1 + batch, seq).
            attention_mask: shape (1 + batch, seq), 1 for a real token.
            prefix: what stands before every row.

        Returns:
            The logits of "no" and "yes" after the other rows' last tokens, shape (batch, 2), float32; and the first
            row's keys and values, (layers, 2, kv_heads, own, head_dim), for the past of what comes after that.
        """
        feed = {"input_ids": input_ids, "attention_mask": attention_mask, "past": prefix.keys_values}
        logits, present = yield self._run(("logits", "present"), feed | {"keep_rows": np.ones(1, np.int64)})
        padding = input_ids.shape[1] - attention_mask[0].sum()
        own = _keys_values(present, prefix, input_ids.shape[1])[..., padding:, :]
        return _checked(logits, len(input_ids))[1:], own

    def giving_back(self) -> "Session":
        """The same session, which gives memory back after every run on the CPU.

        For the last run of a long prompt: each of its chunks met more keys than the one before, and the arena would
        keep a block of every size.
        """
        return self if self.provider == "cuda" else replace(self, run_options=giving_back())

    def extend(self, prefix: PrefixKV, ids: TokenIds) -> PrefixKV:
        """Run the tokens that `prefix` lacks; see `extend_runs`."""
        return complete(self.runtime, self.extend_runs(prefix, ids))

    def extend_runs(self, prefix: PrefixKV, ids: TokenIds, *, consume: bool = False) -> Runs[PrefixKV]:
        """The prefix `ids`, (seq,), which begins with `prefix`; only the tokens after that are run.

        `consume` gives the memory of `prefix` back meanwhile: it can't be used any more.
        """
        own = ids[None, len(prefix.ids) :].astype(np.int64)  # (1, own)
        feed = {"input_ids": own, "attention_mask": np.ones_like(own), "keep_rows": np.ones(1, np.int64)}
        (present,) = yield self._run(("present",), feed | {"past": prefix.keys_values})
        if self.joins_past:
            return PrefixKV(ids, present.reshape(present.shape[1:]))
        return prefix.followed_by(ids, _keys_values(present, prefix, own.size), consume=consume)

    def _run(self, outputs: tuple[str, ...], feed: dict[str, Any]) -> Run:
        return Run(outputs, feed, self.provider, self.run_options)


def _checked(logits: Any, rows: int) -> NDArray[np.float32]:
    """Logits of a batch as (rows, 2), float32."""
    found: NDArray[np.float32] = np.asarray(logits, np.float32)
    if found.shape != (rows, 2):
        raise ScoreError(
            f"The graph gives logits of shape {found.shape} for {rows} prompts, where a reranker's is (prompts, 2);"
            " export the bundle again."
        )
    return found


def _keys_values(present: Any, prefix: PrefixKV, tokens: int) -> NDArray[np.floating[Any]]:
    """A kept row's keys and values, (layers, 2, kv_heads, tokens, head_dim), which fit those of `prefix`."""
    past = prefix.keys_values.shape
    if present.shape != (1, *past[:3], tokens, past[4]):
        raise ScoreError(
            f"The graph gives keys and values of shape {present.shape} for {tokens} tokens after a past of shape"
            f" {past}; export the bundle again."
        )
    kept: NDArray[np.floating[Any]] = present[0]
    return kept


def open_session(
    bundle: GraphFiles, provider: Provider = "auto", threads: int | None = None, *, keep_memory: bool = True
) -> Session:
    """Load a bundle's graph into ONNX Runtime.

    Args:
        bundle: an opened bundle, or one in the making.
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
    check_provider(provider)
    if threads is not None:
        check_count(threads, "threads", 1)
    threads = min(threads or usable_cpus(), usable_cpus())
    joins_past = bundle.kind == "cuda"
    if provider != "cpu" and (runtime := open_on_cuda(bundle, threads, required=provider == "cuda")):
        return Session(runtime, "cuda", _bundle_prefix(runtime, bundle), threads, joins_past=joins_past)
    runtime = open_on_cpu(bundle, threads)
    return Session(
        runtime,
        "cpu",
        _bundle_prefix(runtime, bundle),
        threads,
        workers=min(threads, MOST_WORKERS),
        joins_past=joins_past,
        leads=LEADS in runtime.get_modelmeta().custom_metadata_map,
        run_options=None if keep_memory else giving_back(),
    )


def _bundle_prefix(runtime: "InferenceSession", bundle: GraphFiles) -> PrefixKV | None:
    """The bundle's own prefix, or one without tokens; None if the graph can't share prefixes.

    Raises:
        BundleError: the graph does not have the inputs and outputs of a reranker, or the prefix is another model's.
    """
    inputs = {node.name for node in runtime.get_inputs()}
    outputs = {node.name for node in runtime.get_outputs()}
    expected = _STANDARD_INPUTS if bundle.kind == "standard" else _SHARING_INPUTS
    if inputs != expected or "logits" not in outputs:
        raise BundleError(
            f"{bundle.graph_path} has inputs {sorted(inputs)} and outputs {sorted(outputs)}, where a reranker has"
            f" {sorted(expected)} and ['logits']; export the checkpoint with `aatm-onnx export`."
        )
    if expected == _STANDARD_INPUTS:
        return None
    (past,) = (node for node in runtime.get_inputs() if node.name == "past")
    dtype = np.float16 if "float16" in past.type else np.float32
    shape = [size if isinstance(size, int) else 0 for size in past.shape]
    if [size > 0 for size in shape] != [True, True, True, False, True]:
        raise BundleError(
            f"{bundle.graph_path} takes a past of shape {past.shape}, where a reranker's is (layers, 2, kv_heads, past,"
            " head_dim); export the checkpoint again."
        )
    empty = PrefixKV(np.empty(0, np.int32), np.empty(shape, dtype))
    return read_prefix(bundle.prefix_kv_path, empty) if bundle.prefix_kv_path else empty
