"""int8 and int4: the graph keeps float32's order of candidates, or there is no bundle."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import CONFORMANCE_FILE, GRAPH_FILE, PREFIX_KV_FILE, Graph
from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.kv_cache import write_prefix
from aatm_onnx.runtime.scoring import probability_of_yes, prompt_logits
from aatm_onnx.runtime.session import Session, open_session
from aatm_onnx.runtime.verify import largest_difference, prefix_distance

from ..checkpoint import CheckpointWeights, read_weights
from ..draft import Draft
from ..graph.fused import Storage, write_graph
from ..graph.smoothing import MLP_FOLDS, InputStatistics, smooth
from ..graph.weight_file import WeightFile
from ..progress import Reporter
from .conformance import check_numbers, write_vectors
from .fidelity import Calibration, Comparison, standard_error
from .float_activations import float_activations
from .numpy_reference import reference_run
from .prompts import calibration_prompts, conformance_prompts, shared_prefix
from .search import Attempt, Search, Variant

# A bundle allows this many times what its scores moved by at its export, when all were run together. On 8B with random
# weights in int4 that was 0.045.
_TIMES_MOVED = 3.0


@dataclass(frozen=True)
class QuantizedStrategy:
    """Searches for a graph that keeps the order.

    Attributes:
        min_tau: the least Kendall's tau within a query of the calibration prompts that will do.
        tolerance: how far scores may at least be on other machines from those that the graph had at its export. There a
            float's last bit may round to another step; where attention's sums differed like that, scores of 0.6B moved
            by up to 0.006.
    """

    min_tau: float
    tolerance: float = 0.02

    def prove(self, draft: Draft, report: Reporter) -> Graph:
        """Write shared prefix, graph and conformance vectors of a draft, and measure it.

        Returns:
            The manifest's graph with what was measured.

        Raises:
            ExportError: nothing that was tried keeps the order.
        """
        checkpoint, layers = draft.checkpoint, draft.checkpoint.config.num_hidden_layers
        tokenizer, task = draft.tokenizer, draft.prompt.task
        prompts = conformance_prompts(tokenizer, task)
        calibration, sizes = calibration_prompts(tokenizer, task)
        done = report.step("Computing the reference scores and the shared prefix in float32")
        reference = reference_run(checkpoint, prompts, calibration, shared_prefix(tokenizer, task), done)
        check_numbers(checkpoint, reference.logits)
        write_prefix(draft.folder / PREFIX_KV_FILE, reference.prefix)
        expected = probability_of_yes(reference.logits)  # (prompts + calibration,)

        trials = _Trials(draft, reference.inputs, Calibration(calibration, sizes, expected[len(prompts) :]), report)
        try:
            search = Search(trials.measure, layers, draft.precision == "int4", self.min_tau)
            best = search.run()
        finally:
            trials.close()
        self._check(draft, best, search)
        trials.finish(best.variant)

        session = draft.session()
        logits = _logits(session, prompts, checkpoint.pad_token_id)
        check_numbers(checkpoint, logits)
        distance = prefix_distance(session) if len(reference.prefix.ids) else None
        # Together prompts are run in other shapes, where sums end otherwise and a float may round to another step.
        moved = largest_difference(session, prompts, logits, checkpoint.pad_token_id)
        del session  # 8B would not fit memory twice
        in_float, rounding = None, 0.0
        if draft.precision == "int4":
            in_float, rounding = _float_activation_logits(draft, prompts, logits, report)
        # Elsewhere some activations round to another step, which may move scores by as much as rounding them at all.
        tolerance = max(self.tolerance, _TIMES_MOVED * moved, rounding)
        write_vectors(draft.folder / CONFORMANCE_FILE, prompts, logits, in_float)
        difference = np.abs(probability_of_yes(logits) - expected[: len(prompts)]).max()
        fidelity = best.comparison.fidelity(sorted(best.variant.float_layers), best.variant.methods, distance)
        return Graph(draft.kind, draft.precision, GRAPH_FILE, tolerance, float(difference), fidelity)

    def _check(self, draft: Draft, best: Attempt, search: Search) -> None:
        comparison, mean_difference = best.comparison, float(best.comparison.differences.mean())
        if best.tau >= self.min_tau and np.isfinite(mean_difference):
            return
        plain = search.attempts[0]
        raise ExportError(
            f"In {draft.precision} the order of candidates agrees with float32's to tau {best.tau:.4f} (standard error"
            f" {standard_error(comparison.taus):.4f}; scores differ by {mean_difference:.2g} on average) at best, with"
            f" {best.variant}, where {self.min_tau:g} is asked for (as it is: {plain.tau:.4f};"
            f" {len(search.attempts)} graphs were tried); export in another precision or accept this one with"
            f" `{draft.command} --min-tau {math.floor(best.tau * 1000) / 1000:g}`; no bundle was written."
        )


@dataclass
class _Trials:
    """Writes graphs into a draft's folder and measures them. Graphs of equally scaled weights share one data file.

    Attributes:
        draft: the bundle in the making.
        inputs: what weights meet.
        calibration: what graphs are measured on.
        report: told about every graph.
    """

    draft: Draft
    inputs: InputStatistics
    calibration: Calibration
    report: Reporter
    file: WeightFile | None = None
    in_file: tuple[bool, bool] = (False, False)  # smoothed, fine scales
    written: int = 0

    def measure(self, variant: Variant) -> Comparison:
        """Write a variant's graph and compare its scores."""
        scaled = variant.smoothed, variant.fine_scales
        if self.file is None or scaled != self.in_file:
            self.close()
            self.file, self.in_file = WeightFile(self.draft.graph_path), scaled
            self.written = 0
        self.written += 1
        words = f"Writing the {self.draft.kind} graph in {self.draft.precision}"
        if self.written > 1 or variant != Variant():
            words += f", {variant}"
        self._write(variant, self.file, words)
        self.report.step("Measuring the order of candidates")
        comparison = self.calibration.measure(self.draft.session(), self.draft.checkpoint.pad_token_id)
        self.report.step(f"Measured tau {comparison.tau:.4f} with {variant}")
        return comparison

    def finish(self, variant: Variant) -> None:
        """Leave in the folder the graph of a variant and its weights alone."""
        if self.written > 1 or (variant.smoothed, variant.fine_scales) != self.in_file:
            self._write(variant, None, "Writing the graph that was found")

    def close(self) -> None:
        """End the data file."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def _write(self, variant: Variant, file: WeightFile | None, words: str) -> None:
        checkpoint = self.draft.checkpoint
        weights, inputs = self._scaled(variant)
        storage = Storage(
            self.draft.precision, variant.float_layers, variant.float_weights, variant.fine_scales, inputs
        )
        write_graph(checkpoint, self.draft.folder, storage, weights=weights, file=file, built=self.report.step(words))

    def _scaled(self, variant: Variant) -> tuple[CheckpointWeights, InputStatistics]:
        """Weights and what they meet, smoothed if the variant is.

        int8's down_proj always is, because its inputs have long tails and one scale; the last layer's is in float16.
        """
        weights, layers = read_weights(self.draft.checkpoint), self.draft.checkpoint.config.num_hidden_layers
        if variant.smoothed:
            return smooth(weights, self.inputs)
        if self.draft.precision == "int8":
            return smooth(weights, self.inputs, MLP_FOLDS, layers - 1)
        return weights, self.inputs


def _logits(session: Session, prompts: list[TokenIds], pad_token_id: int) -> NDArray[np.float32]:
    """The (no, yes) logits that a graph gives for each prompt alone, (prompts, 2)."""
    return np.concatenate([prompt_logits(session, [prompt], pad_token_id) for prompt in prompts])


def _float_activation_logits(
    draft: Draft, prompts: list[TokenIds], logits: NDArray[np.float32], report: Reporter
) -> tuple[NDArray[np.float32], float]:
    """What int4 gives where activations stay in float, (prompts, 2); `logits` are those where they are quantized.

    Returns:
        The logits, and how far the scores of both are apart at most.

    Raises:
        ExportError: it is not numbers.
    """
    report.step("Computing what processors give that keep activations in float")
    with float_activations(draft) as files:
        others = _logits(open_session(files, "cpu"), prompts, draft.checkpoint.pad_token_id)
    check_numbers(draft.checkpoint, others)
    apart = float(np.abs(probability_of_yes(others) - probability_of_yes(logits)).max())
    report.step(f"Measured scores of these processors: up to {apart:.1g} from the others'")
    return others, apart
