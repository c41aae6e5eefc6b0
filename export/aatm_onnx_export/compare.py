"""Compare a bundle with the checkpoint that it should have come from."""

from aatm_onnx.bundle import Bundle
from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import prompt_tokenizer
from aatm_onnx.runtime.session import Session
from aatm_onnx.runtime.verify import Conformance, largest_difference

from .checkpoint import open_checkpoint
from .installed import check_installed
from .proof.prompts import conformance_prompts
from .proof.torch_reference import float32_logits


def compare_with_checkpoint(bundle: Bundle, session: Session, checkpoint: str) -> Conformance:
    """Score the conformance texts with both: the bundle's session, and the checkpoint in float32 transformers.

    Args:
        bundle: the opened bundle; its own tokenizer makes the prompts.
        session: a session over its graph.
        checkpoint: a local folder or a hub id.

    Returns:
        How far the scores are from each other.

    Raises:
        ExportError: the checkpoint can't be read or has other sizes than the bundle, or transformers is not installed.
    """
    check_installed(("torch", "transformers", "huggingface_hub"))
    source, manifest = open_checkpoint(checkpoint), bundle.manifest
    if source.config != manifest.config:
        raise ExportError(f"{checkpoint} has other sizes than {bundle.path}: the bundle is of another checkpoint.")
    prompt, graph = manifest.prompt, manifest.graph
    tokenizer = prompt_tokenizer(bundle, prompt.prefix, prompt.suffix, manifest.max_length)
    prompts = conformance_prompts(tokenizer, prompt.task)
    difference = largest_difference(session, prompts, float32_logits(source, prompts), manifest.pad_token_id)
    # A quantized graph is as far from float32 as its export found, give or take what another machine may change.
    return Conformance(len(prompts), difference, graph.tolerance + (graph.difference if graph.fidelity else 0))
