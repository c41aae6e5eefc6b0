"""`aatm-onnx map`."""

import io
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import IO, Any, BinaryIO

import click

from .. import __version__
from ..bm25 import BM25Reranker
from ..load import load_reranker
from ..mapping.checks import checked
from ..mapping.decide import Rules
from ..mapping.exchange import AatmWriter, StcmWriter, UsagiWriter
from ..mapping.journal import Journal
from ..mapping.mapped import MappedTerm
from ..mapping.propose import Proposer
from ..mapping.run import mapped_terms, score_texts, texts_to_score, write_all
from ..mapping.sssom import SssomWriter
from ..mapping.summary import Summary
from ..mapping.term import TOOL
from ..mapping.terms import TermColumns, columns_of_file, read_terms
from ..mapping.writers import CsvWriter, JsonlWriter, Origin, ParquetWriter, Writer
from ..reranker import Reranker
from ..vocabulary import Vocabulary
from . import options, sink

_EXCHANGE: dict[str, Callable[[IO[str], Origin], Writer]] = {
    "usagi": UsagiWriter,
    "sssom": SssomWriter,
    "stcm": StcmWriter,
    "aatm": AatmWriter,
}
_FORMATS = (*_EXCHANGE, "csv", "jsonl", "parquet")
_PROBABILITIES = ("usagi", "sssom", "aatm")  # their scores lie between 0 and 1


@click.command("map")
@click.argument("terms", type=options.EXISTING_FILE)
@options.vocabulary
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@click.option("--format", "output_format", type=click.Choice(_FORMATS), default="usagi", show_default=True)
@options.mapping_model
@options.provider
@options.threads
@options.filters
@options.candidates
@click.option("--top-k", "kept", type=click.IntRange(1, 100), default=5, show_default=True, help="How many to keep.")
@click.option(
    "--accept-above",
    type=options.Finite(),
    help="Accept a first candidate with at least this score; default: accept none.",
)
@click.option(
    "--margin",
    type=options.Finite(min=0),
    default=0.0,
    help="Accept it only if its score is this much above the second's.",
)
@click.option(
    "--match-above",
    type=options.Finite(),
    default=0.01,
    show_default=True,
    help="Below this score there is no match.",
)
@click.option("--name-column", help="CSV column of the text to map.")
@click.option("--code-column", help="CSV column of its code.")
@click.option("--frequency-column", help="CSV column of how often it occurs.")
@options.reading
@click.option("--source-vocabulary", default="", help="The vocabulary of the source codes (stcm, sssom, aatm).")
@click.option("--target-prefix", default="OMOP", show_default=True, help="The prefix of concept ids in SSSOM.")
@click.option("--restart", is_flag=True, help="Forget what an earlier run has scored.")
def command(
    terms: Path,
    vocabulary: Path,
    output: Path,
    output_format: str,
    model: str,
    any_standard: bool,
    retrieved: int,
    kept: int,
    accept_above: float | None,
    margin: float,
    match_above: float,
    name_column: str | None,
    code_column: str | None,
    frequency_column: str | None,
    clean: bool,
    abbreviations: Path | None,
    source_vocabulary: str,
    target_prefix: str,
    restart: bool,
    **more: Any,
) -> None:
    """Map the TERMS of a source list to concepts, and write a file for review.

    TERMS is a CSV, a file saved by Usagi, SOURCE_TO_CONCEPT_MAP, or aatm's input. What is scored is kept beside the
    output until that is written: a run that was ended goes on where it was.
    """
    columns = TermColumns(name_column, code_column, frequency_column)
    if margin > 0 and retrieved == 1:
        raise click.UsageError("--margin compares the first with the second: give --candidates 2 or more.")
    if output == Path("-"):
        raise click.UsageError("map writes a file, which appears when all is done: name one with --output.")
    sink.check_folder(output)
    opened = Vocabulary(vocabulary)
    filters = options.filters_of(opened, any_standard, more)
    reranker = _reranker(model, output_format, **more)
    proposer = Proposer(opened, reranker, retrieved, max(kept, 2), filters)  # the margin is to the second
    read = options.read_of(opened, filters, clean, abbreviations)
    given = checked(read_terms(terms, columns), output_format, source_vocabulary, opened, filters)
    texts = texts_to_score(given, read)
    origin = Origin(
        *(f"{TOOL} {__version__}", model, source_vocabulary, target_prefix, date.today()),
        f"https://w3id.org/sssom/mappings/{uuid.uuid5(uuid.NAMESPACE_URL, f'{opened.checksum}:{terms.name}')}",
        columns_of_file(terms),
    )
    with _all_scored(texts, proposer, output, restart) as journal:
        rules = Rules(accept_above, margin, match_above)
        mapped = mapped_terms(read_terms(terms, columns), read, proposer, journal, rules, kept)
        summary = _write(mapped, output, output_format, origin)
    for line in summary.lines():
        click.echo(line, err=sink.is_stream(output))  # to standard output, perhaps


def _reranker(model: str, output_format: str, provider: str, threads: int | None, **_: Any) -> Reranker | None:
    if model == options.SEARCH:
        return None
    reranker = load_reranker(model, provider=provider, threads=threads)
    if isinstance(reranker, BM25Reranker) and output_format in _PROBABILITIES:
        raise click.UsageError(
            f"BM25's scores have no upper bound, and those of --format {output_format} lie between 0 and 1;"
            " use another model, or --model retriever."
        )
    return reranker


@contextmanager
def _all_scored(texts: Sequence[str], proposer: Proposer, output: Path, restart: bool) -> Iterator[Journal]:
    """Score the texts that no earlier run has scored.

    Yields:
        The journal with all texts. It is removed at the end of the block, and kept where that fails.
    """
    beside = _can_keep_beside(output)
    with _journal_path(output, beside) as path, Journal(path, proposer.describe(), restart=restart) as journal:
        try:
            with options.progress(len(texts), "Mapping") as advance:
                score_texts(texts, proposer, journal, advance)
        except KeyboardInterrupt:
            if beside:
                click.echo(
                    f"{len(journal)} of {len(texts)} texts are scored and kept in {path};"
                    f" the same command{' without --restart' * restart} goes on from there.",
                    err=True,
                )
            raise
        yield journal
        journal.remove()


def _can_keep_beside(output: Path) -> bool:
    """Not beside a pipe or a device, nor beside a file that alone may be written, as one that Docker mounts."""
    return not sink.is_stream(output) and (os.access(output.parent, os.W_OK) or not output.exists())


@contextmanager
def _journal_path(output: Path, beside: bool) -> Iterator[Path]:
    """Where to keep what is scored: beside the output until that is written, or elsewhere and only meanwhile."""
    if beside:
        yield output.with_name(f".{output.name}.journal")
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "journal"


def _write(mapped: Iterable[MappedTerm], output: Path, output_format: str, origin: Origin) -> Summary:
    """Write all terms, and sum them up."""
    summary = Summary()
    with sink.opened(output) as stream, _writer(output_format, stream, origin) as writer:
        for each in write_all(mapped, writer):
            summary.add(each)
    return summary


@contextmanager
def _writer(output_format: str, stream: BinaryIO, origin: Origin) -> Iterator[Writer]:
    if output_format == "parquet":
        yield ParquetWriter(stream)
        return
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    if output_format in ("csv", "jsonl"):
        yield CsvWriter(text) if output_format == "csv" else JsonlWriter(text)
    else:
        yield _EXCHANGE[output_format](text, origin)
    text.flush()
    text.detach()
