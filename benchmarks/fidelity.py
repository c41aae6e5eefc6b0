"""`make fidelity`: how far scores are from float32 torch at every precision, and what that does to the order.

HPO synonyms of concepts that the default model was not trained on, each with the nearest names, on three models: (a)
random weights at 0.6B's size, (b) the same with massive activations at the first token, as Qwen3-0.6B has them
(onnxruntime issue 29849), and (c) the default model.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from aatm_onnx_export.checkpoint import Checkpoint, open_checkpoint
from aatm_onnx_export.export import export_checkpoint
from aatm_onnx_export.kinds import KINDS
from aatm_onnx_export.proof.fidelity import Scores, compare_scores, standard_error
from aatm_onnx_export.proof.torch_reference import float32_logits
from bundle_checkpoint import default_checkpoint
from make_checkpoint import SIZES, write_checkpoint
from massive import FIRST_TOKEN, add_massive_activations

from aatm_onnx.prompt import (
    DEFAULT_MAX_LENGTH,
    DEFAULT_PREFIX,
    DEFAULT_SUFFIX,
    DEFAULT_TASK,
    PromptTokenizer,
    TokenIds,
    format_instruction,
)
from aatm_onnx.runtime.batches import ceil_div
from aatm_onnx.runtime.scoring import probability_of_yes, score_prompts
from aatm_onnx.runtime.session import Session, open_session
from aatm_onnx.tokenizer import read_tokenizer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "models"))

from recipe.pool import NgramIndex, Question, questions  # noqa: E402
from recipe.sources import load_hpo  # noqa: E402

PRECISIONS = tuple(KINDS["fused"].strategies)
QUANTIZED = ("int8", "int4")
_SHARED_PER_UNSHARED = 10  # of so many queries one is also scored without sharing anything, which takes its time


@dataclass(frozen=True)
class Test:
    """A model and what it is asked.

    Attributes:
        title: what to call it.
        checkpoint: the model.
        questions: queries with their candidates.
        prompts: token ids of all pairs, query after query.
        prefix: what the prompts begin with.
        min_tau: what the export asks of a quantized bundle, if it is not the usual.
    """

    title: str
    checkpoint: Checkpoint
    questions: Sequence[Question]
    prompts: list[TokenIds]
    prefix: str = DEFAULT_PREFIX
    min_tau: float | None = None

    def session(self, precision: str, folder: Path) -> tuple[Session, str]:
        """A session of the bundle that `aatm-onnx export` makes, and what to call it."""
        min_tau = self.min_tau if precision in QUANTIZED else None
        bundle = export_checkpoint(
            str(self.checkpoint.folder), folder / "bundle", precision=precision, prefix=self.prefix, min_tau=min_tau
        )
        fidelity = bundle.manifest.graph.fidelity
        done = [*fidelity.methods, *(f"layer {layer} in float" for layer in fidelity.float_layers)] if fidelity else []
        return open_session(bundle, "cpu"), ", ".join([precision, *done])


def run(test: Test, precisions: Sequence[str]) -> None:
    """Print a table: one row for every precision."""
    expected = probability_of_yes(float32_logits(test.checkpoint, test.prompts))
    print(
        f"\n{test.title}: {len(test.questions)} queries, {len(test.prompts)} pairs; float32 torch's scores spread by"
        f" {expected.std():.3f}, Hit@1 {_hit_at_1(expected, test.questions):.4f}"
    )
    print("| precision | mean difference, its noise | largest | tau, its noise | Hit@1 |\n|---|---|---|---|---|")
    for precision in precisions:
        with tempfile.TemporaryDirectory() as folder:
            session, name = test.session(precision, Path(folder))
            scores = np.array(score_prompts(session, test.prompts, test.checkpoint.pad_token_id))
            print(_row(name, test, scores, expected), flush=True)
            if precision == "fp32":
                queries = ceil_div(len(test.questions), _SHARED_PER_UNSHARED)
                few = test.prompts[: queries * len(test.questions[0].candidates)]
                name = f"fp32, nothing shared, {queries} queries"
                alone = [score_prompts(session, [prompt], test.checkpoint.pad_token_id)[0] for prompt in few]
                print(_row(name, test, np.array(alone), expected[: len(few)]), flush=True)


def _row(name: str, test: Test, scores: Scores, expected: Scores) -> str:
    asked = test.questions[: len(scores) // len(test.questions[0].candidates)]
    found = compare_scores(scores, expected, [len(question.candidates) for question in asked])
    of_queries = found.differences.reshape(len(asked), -1).mean(axis=1)
    return (
        f"| {name} | {of_queries.mean():.2g}, {standard_error(of_queries):.1g} | {found.differences.max():.2g}"
        f" | {found.tau:.4f}, {standard_error(found.taus):.1g} | {_hit_at_1(scores, asked):.4f} |"
    )


def _hit_at_1(scores: Scores, asked: Sequence[Question]) -> float:
    """The share of queries whose right candidate is first; where it is not among them, none is."""
    rows = np.split(scores, len(asked))  # all have the same number of candidates
    return float(np.mean([question.gold == int(row.argmax()) for question, row in zip(asked, rows, strict=True)]))


def ask(title: str, folder: Path, asked: Sequence[Question], prefix: str) -> Test:
    """The questions as a checkpoint's tokens, in the prompt that begins with `prefix`."""
    checkpoint = open_checkpoint(str(folder))
    prefix_ids, suffix_ids = (
        checkpoint.tokenizer.encode(text, add_special_tokens=False).ids for text in (prefix, DEFAULT_SUFFIX)
    )
    pairs = [format_instruction(DEFAULT_TASK, item.query, text) for item in asked for text in item.candidates]
    texts = read_tokenizer(folder / "tokenizer.json", control_tokens=False)
    encoded = PromptTokenizer(texts, prefix_ids, suffix_ids, DEFAULT_MAX_LENGTH).encode(pairs)
    return Test(title, checkpoint, asked, [prompt.ids for prompt in encoded], prefix)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "bench", help="where checkpoints are kept")
    parser.add_argument("--checkpoint", type=Path, help="for (c): another model than the default one")
    parser.add_argument("--queries", type=int, default=400, help="of (c), with 50 candidates each")
    parser.add_argument("--random-queries", type=int, default=48, help="of (a) and (b), with 16 candidates each")
    parser.add_argument("--only", choices="abc", help="one of the three")
    parser.add_argument("--precisions", nargs="*", choices=PRECISIONS, default=PRECISIONS)
    options = parser.parse_args()
    concepts = load_hpo()
    asked = questions(concepts, NgramIndex([concept.name for concept in concepts]), ("test",), options.queries)
    spread = asked[:: max(1, len(asked) // options.random_queries)][: options.random_queries]  # they are sorted
    few = [replace(item, candidates=item.candidates[:16]) for item in spread]
    random, massive = options.folder / "qwen3-0.6b-random", options.folder / "qwen3-0.6b-massive"
    if options.only in (None, "a", "b") and not random.exists():
        write_checkpoint(random, SIZES["0.6B"], seed=0, shard_bytes=2_000_000_000)
    if options.only in (None, "b") and not massive.exists():
        add_massive_activations(random, massive)
    for letter, title, folder in (("a", "random weights", random), ("b", "the same, massive activations", massive)):
        if options.only in (None, letter):
            test = ask(f"({letter}) {title}", folder, few, FIRST_TOKEN + DEFAULT_PREFIX)
            run(replace(test, min_tau=-1.0), options.precisions)  # an order that means nothing is worth no float layer
    if options.only in (None, "c"):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = options.checkpoint or default_checkpoint(Path(folder))
            run(ask(f"(c) {checkpoint.name}", checkpoint, asked, DEFAULT_PREFIX), options.precisions)


if __name__ == "__main__":
    main()
