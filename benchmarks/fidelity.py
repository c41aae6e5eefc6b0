"""`make fidelity`: how far the fused graph's scores are from float32 torch, at every precision.

Three models: (a) random weights at 0.6B's size, (b) the same with massive activations at the first token, as Qwen3-0.6B
has them (onnxruntime issue 29849), and (c) any checkpoint with real weights, on HPO synonyms of held-out concepts.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from aatm_onnx_export.checkpoint import Checkpoint, open_checkpoint
from aatm_onnx_export.fused import FUSED
from aatm_onnx_export.reference import float32_logits
from make_checkpoint import SIZES, write_checkpoint
from massive import FIRST_TOKEN, add_massive_activations
from numpy.typing import NDArray
from workloads import Workload

from aatm_onnx.prompt import (
    DEFAULT_MAX_LENGTH,
    DEFAULT_PREFIX,
    DEFAULT_SUFFIX,
    DEFAULT_TASK,
    PromptTokenizer,
    TokenIds,
    format_instruction,
)
from aatm_onnx.scoring import probability_of_yes, score_prompts
from aatm_onnx.session import Session, empty_past

ROOT = Path(__file__).resolve().parent.parent
PRECISIONS = ("fp32", "fp16", "int8", "int4")
Scores = NDArray[np.float64]


def compare(
    title: str, checkpoint: Checkpoint, groups: Sequence[Sequence[TokenIds]], precisions: Sequence[str]
) -> None:
    """Print one row for every precision: differences, order within each group, and whether the best stays the best."""
    prompts = [prompt for group in groups for prompt in group]
    logits = [vector.logits for vector in float32_logits(checkpoint, prompts)]
    expected = probability_of_yes(np.array(logits, np.float32))
    print(f"\n{title}: {len(groups)} queries, {len(prompts)} pairs; float32 scores spread by {expected.std():.3f}")
    print("| precision | mean difference | largest | tau | same best candidate |\n|---|---|---|---|---|")
    ends = np.cumsum([len(group) for group in groups])[:-1]
    for precision in precisions:
        with tempfile.TemporaryDirectory() as folder:
            FUSED.write(checkpoint, Path(folder), precision)
            runtime = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
            session = Session(runtime, "cpu", empty_past(runtime))
            scores = np.array(score_prompts(session, prompts, checkpoint.pad_token_id))
        pairs = list(zip(np.split(scores, ends), np.split(expected, ends), strict=True))
        order = np.mean([kendall_tau(a, b) for a, b in pairs])
        best = np.mean([a.argmax() == b.argmax() for a, b in pairs])
        difference = np.abs(scores - expected)
        print(
            f"| {precision} | {difference.mean():.2g} | {difference.max():.2g} | {order:.3f} | {best:.3f} |", flush=True
        )


def kendall_tau(a: Scores, b: Scores) -> float:
    """Kendall's tau-b of two orders of the same candidates."""
    upper = np.triu_indices(len(a), 1)
    first, second = (np.sign(x[:, None] - x[None, :])[upper] for x in (a, b))
    return float((first * second).sum() / max(1.0, np.sqrt(np.abs(first).sum() * np.abs(second).sum())))


def random_groups(queries: int) -> list[list[TokenIds]]:
    """Queries with 16 candidates each, of random tokens; all begin with one token that comes nowhere else."""
    workload = Workload("", queries, 16, head=56, query=18, own=20)
    prompts = [np.concatenate([[FIRST_TOKEN], prompt]).astype(np.int32) for prompt in workload.prompts()]
    return [prompts[start : start + 16] for start in range(0, len(prompts), 16)]


def terminology_groups(checkpoint: Checkpoint, queries: int) -> list[list[TokenIds]]:
    """HPO synonyms that the default model was not trained on, with their pools, as `make eval` builds them."""
    sys.path.insert(0, str(ROOT / "models"))
    from recipe.pool import NgramIndex, questions
    from recipe.sources import load_hpo

    concepts = load_hpo()
    items = questions(concepts, NgramIndex([concept.name for concept in concepts]), "test", queries)
    prefix, suffix = (
        checkpoint.tokenizer.encode(text, add_special_tokens=False).ids for text in (DEFAULT_PREFIX, DEFAULT_SUFFIX)
    )
    encoder = PromptTokenizer(checkpoint.folder / "tokenizer.json", prefix, suffix, DEFAULT_MAX_LENGTH)
    return [
        list(encoder.encode([format_instruction(DEFAULT_TASK, item.query, text) for text in item.candidates]))
        for item in items
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "bench", help="where checkpoints are kept")
    parser.add_argument("--checkpoint", type=Path, help="for (c): a checkpoint with real weights")
    parser.add_argument("--queries", type=int, default=4, help="queries of (a) and (b); (c) has 25 times as many")
    parser.add_argument("--only", choices="abc", help="one of the three")
    parser.add_argument("--precisions", nargs="*", default=PRECISIONS)
    options = parser.parse_args()
    random, massive = options.folder / "qwen3-0.6b-random", options.folder / "qwen3-0.6b-massive"
    if options.only in (None, "a", "b"):
        if not random.exists():
            write_checkpoint(random, SIZES["0.6B"], seed=0, shard_bytes=2_000_000_000)
        if not massive.exists():
            add_massive_activations(random, massive)
    for letter, folder in (("a", random), ("b", massive)):
        if options.only in (None, letter):
            groups = random_groups(options.queries)
            compare(f"({letter}) {folder.name}", open_checkpoint(str(folder)), groups, options.precisions)
    if options.checkpoint and options.only in (None, "c"):
        checkpoint = open_checkpoint(str(options.checkpoint))
        groups = terminology_groups(checkpoint, 25 * options.queries)
        compare("(c) HPO synonyms", checkpoint, groups, options.precisions)


if __name__ == "__main__":
    main()
