"""fp32 and fp16: the graph's scores are the float32 reference's, or there is no bundle."""

from dataclasses import replace

from aatm_onnx.bundle import CONFORMANCE_FILE, Bundle, Graph
from aatm_onnx.errors import ExportError
from aatm_onnx.runtime.session import open_session

from .checkpoint import Checkpoint
from .conformance import check_numbers, conformance_prompts, score_difference, write_vectors
from .graphs import GraphKind, Progress


def write_exact(kind: GraphKind, checkpoint: Checkpoint, bundle: Bundle, progress: Progress) -> Graph:
    """Write graph and conformance vectors of a bundle that is in the making, and prove them.

    Returns:
        The manifest's graph with the difference that was measured.

    Raises:
        ExportError: the difference is more than the manifest allows.
    """
    manifest, graph = bundle.manifest, bundle.manifest.graph
    progress("Computing the reference scores in float32")
    prompts = conformance_prompts(bundle.tokenizer_path, manifest.prompt, manifest.max_length)
    logits = kind.reference(checkpoint, prompts)
    check_numbers(checkpoint, logits)
    write_vectors(bundle.path / CONFORMANCE_FILE, prompts, logits)
    progress(f"Writing the {graph.kind} graph in {graph.precision}")
    kind.write(checkpoint, bundle.path, graph.precision)
    progress("Proving its scores")
    difference = score_difference(open_session(bundle, "cpu"), prompts, logits, manifest.pad_token_id)
    if not difference <= graph.tolerance:
        raise ExportError(
            f"The {graph.precision} graph's scores differ from the float32 reference's by up to {difference:.2g}, where"
            f" {graph.tolerance:g} is allowed; no bundle was written."
        )
    return replace(graph, difference=difference)
