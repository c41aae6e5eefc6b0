"""fp32 and fp16: the graph's scores are the float32 reference's, or there is no bundle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aatm_onnx.bundle import CONFORMANCE_FILE, GRAPH_FILE, PREFIX_KV_FILE, Graph
from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.kv_cache import write_prefix
from aatm_onnx.runtime.prefix_tree import RUN_COST

from ..checkpoint import Checkpoint
from ..draft import Draft
from ..progress import Reporter
from .conformance import check_numbers, score_difference, write_vectors
from .prompts import conformance_prompts, shared_prefix

# A bundle promises this many times the difference that its export measured. Most of that is what storing weights as
# float16 does, and is the same everywhere; the rest is room for sums that another machine adds up in another order.
_TIMES_MEASURED = 4.0


@dataclass(frozen=True)
class FloatStrategy:
    """Writes a graph and holds it to the reference.

    Attributes:
        reference: computes the (no, yes) logits of whole prompts in float32, from checkpoint, prompts, and what to call
            with the fraction that is done.
        write: writes model.onnx (and model.onnx.data), from checkpoint, folder, precision, and what to call with the
            fraction that is done.
        floor: the least tolerance that a bundle gets, however little was measured: what other machines need.
        limit: the largest difference from the reference with which a bundle is written.
    """

    reference: Callable[[Checkpoint, Sequence[TokenIds], Callable[[float], object]], NDArray[np.float32]]
    write: Callable[[Checkpoint, Path, str, Callable[[float], object]], None]
    floor: float
    limit: float

    def prove(self, draft: Draft, report: Reporter) -> Graph:
        """Write graph and conformance vectors of a draft, and prove them.

        Returns:
            The manifest's graph with the difference that was measured.

        Raises:
            ExportError: the difference is more than the limit.
        """
        checkpoint = draft.checkpoint
        prompts = conformance_prompts(draft.tokenizer, draft.prompt.task)
        logits = self.reference(checkpoint, prompts, report.step("Computing the reference scores in float32"))
        check_numbers(checkpoint, logits)
        write_vectors(draft.folder / CONFORMANCE_FILE, prompts, logits)
        words = f"Writing the {draft.kind} graph in {draft.precision}"
        self.write(checkpoint, draft.folder, draft.precision, report.step(words))
        report.step("Proving its scores")
        _write_prefix(draft)
        difference = score_difference(draft.session(), prompts, logits, checkpoint.pad_token_id)
        if not difference <= self.limit:
            raise ExportError(
                f"The {draft.precision} graph's scores differ from the float32 reference's by up to {difference:.2g},"
                f" where {self.limit:g} is allowed; no bundle was written."
            )
        tolerance = min(self.limit, max(self.floor, _TIMES_MEASURED * difference))
        return Graph(draft.kind, draft.precision, GRAPH_FILE, tolerance, difference)


def _write_prefix(draft: Draft) -> None:
    """Run what all prompts begin with, where the graph can go on after it and that saves more than a run costs."""
    prefix = shared_prefix(draft.tokenizer, draft.prompt.task)
    if draft.kind == "fused" and len(prefix) > RUN_COST:
        session = draft.session()
        assert session.prefix is not None  # without tokens: there is no file of it yet
        write_prefix(draft.folder / PREFIX_KV_FILE, session.extend(session.prefix, prefix))
