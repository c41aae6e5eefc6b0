"""`aatm-onnx evaluate`."""

import warnings
from pathlib import Path
from typing import Any

import click

from ..bm25 import BM25Reranker
from ..load import BM25_NAMES, load_reranker
from ..mapping.evaluate import Outcome
from ..mapping.gold import out_of_reach, read_gold
from ..mapping.propose import TEXTS_AT_ONCE, Proposer
from ..mapping.report import picture, tables
from ..models import find_bundle
from ..vocabulary import Vocabulary
from . import options, sink


@click.command("evaluate")
@click.option(
    "--gold",
    required=True,
    type=options.EXISTING_FILE,
    help="Reviewed terms: a file saved by Usagi, SOURCE_TO_CONCEPT_MAP, SSSOM, or a CSV.",
)
@options.vocabulary
@click.option("--model", "models", multiple=True, default=("default", "bm25", options.SEARCH), show_default=True)
@options.provider
@options.threads
@options.filters
@options.candidates
@click.option("--name-column", help="CSV column of the term.")
@click.option("--concept-column", help="CSV column of the right concept's id.")
@options.reading
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="An SVG to write: precision against coverage."
)
def command(
    gold: Path,
    vocabulary: Path,
    models: tuple[str, ...],
    any_standard: bool,
    retrieved: int,
    name_column: str | None,
    concept_column: str | None,
    clean: bool,
    abbreviations: Path | None,
    plot: Path | None,
    provider: str,
    threads: int | None,
    **more: Any,
) -> None:
    """Say how well models map terms that were reviewed already, side by side.

    --model may be repeated: a reranker's name, the path of a bundle, bm25, or retriever (by similarity alone).
    """
    for model in models:  # else a typing error in the last name would cost the work of all others
        if model not in (options.SEARCH, *BM25_NAMES):
            find_bundle(model)
    if plot is not None:
        sink.check_folder(plot)
    opened = Vocabulary(vocabulary)
    filters = options.filters_of(opened, any_standard, more)
    read = options.read_of(opened, filters, clean, abbreviations)
    questions = read_gold(gold, opened, lambda name: read(name).text, name_column, concept_column)
    if lost := out_of_reach(questions, opened, filters):
        warnings.warn(
            f"{len(lost)} of {len(questions)} reviewed terms count as wrong whatever a model says, as {lost[0].text!r}:"
            " the filters leave their concepts out (--any-standard lets concepts in that are not standard).",
            stacklevel=2,
        )
    outcomes, bounded = {}, {}
    for model in models:
        reranker = None if model == options.SEARCH else load_reranker(model, provider=provider, threads=threads)
        proposer = Proposer(opened, reranker, retrieved, retrieved, filters)
        answers = []
        with options.progress(len(questions), model) as advance:
            for start in range(0, len(questions), TEXTS_AT_ONCE):
                some = questions[start : start + TEXTS_AT_ONCE]
                answers += proposer.propose([question.text for question in some])
                advance(len(some))
        outcomes[model] = Outcome.of(questions, answers)
        bounded[model] = not isinstance(reranker, BM25Reranker)
    for line in tables(outcomes, bounded):
        click.echo(line)
    if plot is not None:
        with sink.opened(plot) as stream:
            stream.write(picture(outcomes).encode())
