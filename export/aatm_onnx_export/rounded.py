"""int8 and int4: as few layers in float as keeping the order of candidates takes, found by measuring, or no bundle."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import CONFORMANCE_FILE, PREFIX_KV_FILE, Bundle, Fidelity, Graph, describe_files
from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.kv_cache import write_prefix
from aatm_onnx.runtime.scoring import probability_of_yes, prompt_logits
from aatm_onnx.runtime.session import Session, open_session

from .calibration import Calibration, calibration_prompts, constant_head
from .checkpoint import Checkpoint
from .conformance import check_numbers, conformance_prompts, write_vectors
from .fused import write_graph
from .graphs import Progress
from .onnx_graph import WeightFile
from .streamed_reference import float32_past, float32_run

# Of so many layers one may stay in float; with more of them a bundle would be neither small nor fast.
_LAYERS_PER_FLOAT_LAYER = 4

Measure = Callable[[Sequence[int]], Fidelity]


def write_rounded(checkpoint: Checkpoint, bundle: Bundle, min_tau: float, progress: Progress) -> Graph:
    """Write head, graph and conformance vectors of a bundle that is in the making, and measure it.

    Args:
        checkpoint: the model.
        bundle: its folder and its manifest, but for what is found out here.
        min_tau: the least Kendall's tau within a query of the calibration prompts that will do.
        progress: also called for every layer that is tried.

    Returns:
        The manifest's graph with what was measured.

    Raises:
        ExportError: too many layers would have to stay in float.
    """
    manifest, graph = bundle.manifest, bundle.manifest.graph
    progress("Computing the reference scores and the head of the prompt in float32")
    texts = bundle.tokenizer_path, manifest.prompt, manifest.max_length
    prompts, (calibration, sizes) = conformance_prompts(*texts), calibration_prompts(*texts)
    head = constant_head(*texts)
    truth, mean_inputs = float32_run(checkpoint, prompts, calibration, len(head))
    check_numbers(checkpoint, truth)
    expected = probability_of_yes(truth)  # (prompts + calibration,)
    write_prefix(bundle.path / PREFIX_KV_FILE, float32_past(checkpoint, head))
    manifest = replace(manifest, files=describe_files(bundle.path))  # a session looks there for the head
    bundle = replace(bundle, manifest=manifest)
    progress(f"Writing the {graph.kind} graph in {graph.precision}")
    write = partial(write_graph, checkpoint, bundle.path, graph.precision, mean_inputs=mean_inputs)
    measured_on = Calibration(calibration, sizes, expected[len(prompts) :])
    fidelity = _write_graph(write, bundle, measured_on, min_tau, progress)
    logits = _exported_logits(open_session(bundle, "cpu"), prompts, manifest.pad_token_id)
    write_vectors(bundle.path / CONFORMANCE_FILE, prompts, logits)
    check_numbers(checkpoint, logits)
    difference = np.abs(probability_of_yes(logits) - expected[: len(prompts)]).max()
    return replace(graph, difference=float(difference), fidelity=fidelity)


def _write_graph(
    write: Callable[..., None], bundle: Bundle, calibration: Calibration, min_tau: float, progress: Progress
) -> Fidelity:
    """Write graphs, by `write(float_layers=..., weights=...)`, until one is good enough."""
    manifest = bundle.manifest
    weights = WeightFile(bundle.graph_path)

    def measure(float_layers: Sequence[int]) -> Fidelity:
        write(float_layers=float_layers, weights=weights)
        fidelity = calibration.measure(open_session(bundle, "cpu"), manifest.pad_token_id, float_layers)
        progress(f"Measured tau {fidelity.tau:.4f} with {_layers(float_layers)} in float")
        return fidelity

    try:
        fidelity = _fewest_float_layers(measure, manifest.config.num_hidden_layers, min_tau)
    finally:
        weights.close()
    if fidelity.tau < min_tau or not np.isfinite(fidelity.mean_difference):
        raise ExportError(
            f"In {manifest.graph.precision} the order of candidates agrees with float32's to tau {fidelity.tau:.4f}"
            f" (scores differ by {fidelity.mean_difference:.2g} on average) at best, with"
            f" {_layers(fidelity.float_layers)} in float, where {min_tau:g} is asked for; export in another precision"
            " or accept it with --min-tau; no bundle was written."
        )
    if fidelity.float_layers:  # the data file has weights of all that was tried
        write(float_layers=fidelity.float_layers)
    return fidelity


def _fewest_float_layers(measure: Measure, layers: int, min_tau: float) -> Fidelity:
    """The first graph that is good enough, or else the best: with no layer in float, with one, with those that help.

    Layers are tried from the last one on, whose errors no other layer evens out, and one that is enough ends the
    search. Where none is, those that gained most alone are left in float together, one more at a time.
    """
    tried = [measure([])]
    if tried[0].tau >= min_tau:
        return tried[0]
    for layer in reversed(range(layers)):
        tried.append(measure([layer]))
        if tried[-1].tau >= min_tau:
            return tried[-1]
    by_gain = [layer for alone in sorted(tried[1:], key=_tau, reverse=True) for layer in alone.float_layers]
    for count in range(2, -(-layers // _LAYERS_PER_FLOAT_LAYER) + 1):
        tried.append(measure(by_gain[:count]))
        if tried[-1].tau >= min_tau:
            return tried[-1]
    return max(tried, key=_tau)


def _tau(fidelity: Fidelity) -> float:
    return fidelity.tau


def _layers(layers: Sequence[int]) -> str:
    return f"layer{'s' * (len(layers) > 1)} {', '.join(map(str, layers))}" if layers else "no layer"


def _exported_logits(session: Session, prompts: Sequence[TokenIds], pad_token_id: int) -> NDArray[np.float32]:
    """The (no, yes) logits that a session gives for each prompt alone, (prompts, 2)."""
    return np.concatenate([prompt_logits(session, [prompt], pad_token_id) for prompt in prompts])
