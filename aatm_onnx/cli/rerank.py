"""`aatm-onnx rerank`."""

import contextlib
import itertools
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, get_args

import click

from ..arrow import import_pyarrow
from ..errors import TooLongError
from ..load import load_reranker
from ..ranking import RankedDocument, check_text
from ..reranker import Reranker
from ..table import TableReranker
from . import options, parquet
from .formats import QueryCandidates, csv, further_names, jsonl, table
from .sink import writing
from .source import Format, Source, format_of, named_format, read_candidates
from .terminal import printable

Ranked = tuple[QueryCandidates, list[RankedDocument]]
_FORMATS = ("table", "jsonl", "csv", "parquet")
_PART_ROWS_HELP = "The most rows of a Parquet part: what is done again after a kill."
_READABLE = click.Path(exists=True, allow_dash=True, path_type=Path)


@click.command("rerank")
@click.argument("query", required=False)
@click.argument("candidates", nargs=-1)
@click.option("--candidates-file", type=_READABLE, help="Candidates of QUERY, one a line; - is standard input.")
@click.option("--input", "source", type=_READABLE, help="Queries with candidates; - is standard input.")
@click.option("--input-format", type=click.Choice(get_args(Format)), help="Default: by the file's name.")
@click.option("--query-column", default="query", show_default=True, help="CSV or Parquet column of the query.")
@click.option("--candidate-column", help="Default: CSV's column candidate, Parquet's list column candidates.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(_FORMATS),
    help="Default: by --output's name, or table; for Parquet input, parquet.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File to write, for Parquet a folder; default, and -: standard output.",
)
@click.option("--part-rows", type=click.IntRange(min=1), default=4096, show_default=True, help=_PART_ROWS_HELP)
@click.option("--top-k", type=click.IntRange(min=1), help="Keep only this many of each query's candidates.")
@click.option(
    "--details", is_flag=True, help="In JSONL and CSV, also each pair's logit, tokens, and whether it was cut."
)
@options.model
@options.provider
@options.threads
@options.cached_scores
@click.option("--fallback", type=click.Choice(["bm25"]), help="What to use where the model can't run.")
@click.option("--task", help='The instruction to the model, for queries whose JSONL line has no "task".')
@click.option("--max-length", type=click.IntRange(min=1), help="The most tokens of a prompt.")
@click.option(
    "--no-truncate", is_flag=True, help="Stop at a pair that is too long for the model, instead of cutting it."
)
def command(
    query: str | None,
    candidates: tuple[str, ...],
    candidates_file: Path | None,
    source: Path | None,
    input_format: Format | None,
    query_column: str,
    candidate_column: str | None,
    output_format: str | None,
    output: Path | None,
    part_rows: int,
    top_k: int | None,
    details: bool,
    no_truncate: bool,
    model: str,
    fallback: str | None,
    **model_options: Any,
) -> None:
    """Order CANDIDATES by how well they match QUERY, best first.

    Candidates come as arguments or from --candidates-file; many queries come from --input, as JSONL lines
    {"query": "...", "candidates": ["...", ...]} or as CSV, one row per candidate. They are ranked as they are read, in
    little memory. Before a file is written, all of the input is checked. Parquet, one row per query with a list column
    of candidates, becomes a folder of parts; stopped and called again, it goes on where it was.
    """
    output = None if output == Path("-") else output
    load = partial(load_reranker, model, fallback=fallback, **model_options)
    items: Iterable[QueryCandidates]
    if source is None:
        items = [_one_query(query, candidates, candidates_file)]
    elif query is not None or candidates_file is not None:
        raise click.UsageError("Give either QUERY with candidates, or --input.")
    elif (chosen := input_format or format_of(source)) == "parquet":
        folder = _folder_of_parts(output, output_format, details)
        columns = {"query": query_column, "candidates": candidate_column or "candidates"}
        _rank_parquet(source, folder, part_rows, load, top_k=top_k, truncate=not no_truncate, **columns)
        return
    else:
        items = Source(source, chosen, query_column, candidate_column or "candidate")
    output_format = output_format or _named_by(output) or "table"
    if output_format == "parquet":
        raise click.UsageError("Parquet is written from Parquet only; choose --format jsonl or csv.")
    if output is not None and output.is_dir():
        raise click.UsageError(f"--output {output} is a folder; name a file.")
    further, read = _begin(items, output_format, output)
    with (
        load() as reranker,
        writing(output, replace=output_format == "table") as stream,
        _progress(items, shown=output is not None or not stream.isatty()) as progress,
    ):
        write = _writer(stream, output_format, further, details)
        for item, ranking in _ranked(read, reranker, no_truncate):
            write(item, ranking[:top_k])
            stream.flush()
            progress()


def _one_query(query: str | None, arguments: Sequence[str], file: Path | None) -> QueryCandidates:
    """QUERY with its candidates: the arguments, then the lines of --candidates-file."""
    if query is None:
        raise click.UsageError("Give QUERY with candidates, or --input. See `aatm-onnx rerank --help`.")
    candidates = [*arguments, *(read_candidates(file) if file else [])]
    if not candidates:
        raise click.UsageError("Give at least one candidate, as an argument or from --candidates-file.")
    texts = [check_text(text, f"Candidate {index}") for index, text in enumerate(candidates)]
    return QueryCandidates(check_text(query, "QUERY"), texts, [{} for _ in texts])


def _named_by(output: Path | None) -> str | None:
    """The format that the output's name asks for; CSV is written with commas, so ".tsv" asks for none."""
    return None if output is None or output.suffix.lower() == ".tsv" else named_format(output)


def _folder_of_parts(output: Path | None, output_format: str | None, details: bool) -> Path:
    """The folder for the ranked parts of Parquet input, which becomes nothing else."""
    if output is None or output_format not in (None, "parquet") or details:
        raise click.UsageError("Parquet goes to Parquet: give a folder as --output, no --format, no --details.")
    if output.is_file():
        raise click.UsageError(f"--output {output} is a file; name a folder for the parts.")
    return output


def _rank_parquet(
    source: Path, output: Path, part_rows: int, load: Callable[[], Reranker], **table_options: Any
) -> None:
    import_pyarrow()  # or say what to install, before the model is loaded
    with (
        load() as reranker,
        options.progress(parquet.rows_of(source), "Reranking") as advance,
    ):
        rank = TableReranker(reranker, **table_options)
        parts, there = parquet.rank_parts(source, output, rank, part_rows, advance)
    click.echo(printable(f"{output}: {parts} parts; {there} of them were there already."), err=True)


def _begin(
    items: Iterable[QueryCandidates], output_format: str, output: Path | None
) -> tuple[tuple[list[str], list[str]], Iterator[QueryCandidates]]:
    """Check the input if that delays nothing or can't be helped, and start to read it.

    Returns:
        The names of further fields, of the queries and of their candidates, and the queries themselves.
    """
    if isinstance(items, Source):
        to_file = output is not None and (output.is_file() or not output.exists())
        if (to_file and items.size is not None) or (output_format == "csv" and items.columns_vary):
            return items.check(), iter(items)
    read = iter(items)
    first = list(itertools.islice(read, 1))
    return further_names(first), itertools.chain(first, read)


def _ranked(items: Iterable[QueryCandidates], reranker: Reranker, no_truncate: bool) -> Iterator[Ranked]:
    """Rank queries as they are read, a few at once."""
    waiting = deque[QueryCandidates]()

    def read() -> Iterator[tuple[str, list[str], str | None]]:
        for item in items:
            waiting.append(item)
            yield item.query, item.candidates, item.task

    pairs = cut = 0
    for ranking in reranker.rank_stream(read()):
        item, long = waiting.popleft(), [row.index for row in ranking if row.truncated]
        if long and no_truncate:
            raise TooLongError(
                f"{item.where}: candidate {min(long)} does not fit the model with its query; shorten it, raise"
                " --max-length, or leave out --no-truncate."
            )
        pairs, cut = pairs + len(ranking), cut + len(long)
        yield item, ranking
    if cut:
        which = "JSONL marks them, and CSV does with --details"
        warnings.warn(f"{cut} of {pairs} pairs were cut to fit the model; {which}.", stacklevel=2)


def _writer(
    stream: IO[str], output_format: str, further: tuple[list[str], list[str]], details: bool
) -> Callable[[QueryCandidates, list[RankedDocument]], None]:
    if output_format == "csv":
        return csv.Writer(stream, *further, details).write
    if output_format == "jsonl":
        return partial(jsonl.write, stream, details=details)
    return partial(table.write, stream)


@contextlib.contextmanager
def _progress(items: Iterable[QueryCandidates], *, shown: bool) -> Iterator[Callable[[], None]]:
    """Show on a terminal how far the input is read, and the time left; of a pipe, how many queries came.

    Yields:
        What to call after every query.
    """
    if not (shown and isinstance(items, Source) and sys.stderr.isatty()):
        yield lambda: None
    elif items.size is None:
        with click.progressbar(itertools.count(), label="Queries", show_pos=True, file=sys.stderr) as counted:
            yield lambda: counted.update(1)
    else:
        with click.progressbar(length=items.size, label="Reranking", file=sys.stderr) as bar:
            yield lambda: bar.update(items.position() - bar.pos)
