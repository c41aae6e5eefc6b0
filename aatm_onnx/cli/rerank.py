"""`aatm-onnx rerank`."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, get_args

import click

from ..load import load_reranker
from ..reranker import Reranker
from . import formats as files
from . import options
from .formats import QueryCandidates

# Queries scored together: enough to fill batches, few enough that progress shows and results come as they are ready.
_QUERIES_AT_ONCE = 16


@click.command("rerank")
@click.argument("query", required=False)
@click.argument("candidates", nargs=-1)
@click.option(
    "--candidates-file", type=click.File("r", "utf-8-sig"), help="Candidates of QUERY, one a line; - is stdin."
)
@click.option(
    "--input", "source", type=click.File("r", "utf-8-sig"), help="Queries with candidates; - is standard input."
)
@click.option("--input-format", type=click.Choice(get_args(files.Format)), help="Default: by the file's name.")
@click.option("--query-column", default="query", show_default=True, help="CSV column of the query.")
@click.option("--candidate-column", default="candidate", show_default=True, help="CSV column of the candidate.")
@click.option("--format", "output_format", type=click.Choice(["table", "jsonl", "csv"]), default="table")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; default: stdout.")
@click.option("--top-k", type=click.IntRange(min=1), help="Keep only this many of each query's candidates.")
@options.model
@options.provider
@options.threads
@click.option("--fallback", type=click.Choice(["bm25"]), help="What to use where the model can't run.")
@click.option("--task", help="The instruction to the model.")
@click.option("--max-length", type=click.IntRange(min=1), help="The most tokens of a prompt.")
def command(
    query: str | None,
    candidates: tuple[str, ...],
    candidates_file: IO[str] | None,
    source: IO[str] | None,
    input_format: str | None,
    query_column: str,
    candidate_column: str,
    output_format: str,
    output: Path | None,
    top_k: int | None,
    model: str,
    fallback: str | None,
    **model_options: Any,
) -> None:
    """Order CANDIDATES by how well they match QUERY, best first.

    Candidates come as arguments or from --candidates-file; many queries come from --input, as JSONL lines
    {"query": "...", "candidates": ["...", ...]} or as CSV, one row per candidate.
    """
    if source is not None:
        if query is not None or candidates_file is not None:
            raise click.UsageError("Give either QUERY with candidates, or --input.")
        with _decoding(source):
            items = _read(source, input_format, query_column, candidate_column)
    elif query is None:
        raise click.UsageError("Give QUERY with candidates, or --input. See `aatm-onnx rerank --help`.")
    else:
        with _decoding(candidates_file):
            texts = [*candidates, *(files.read_lines(candidates_file) if candidates_file else [])]
        if not texts:
            raise click.UsageError("Give at least one candidate, as an argument or from --candidates-file.")
        items = [QueryCandidates(query, texts, [{} for _ in texts])]
    reranker = load_reranker(model, fallback=fallback, **model_options)
    with files.writing(output) as stream:
        _write_rankings(stream, output_format, items, reranker, top_k)


def _read(source: IO[str], input_format: str | None, query_column: str, candidate_column: str) -> list[QueryCandidates]:
    """Read all before scoring: a fault in the last line should not cost an hour."""
    chosen = input_format or Path(source.name).suffix.lstrip(".").lower().replace("ndjson", "jsonl")
    if chosen == "csv":
        if reconfigure := getattr(source, "reconfigure", None):
            reconfigure(newline="")  # line ends inside quotes are the field's own
        return list(files.read_csv(source, source.name, query_column, candidate_column))
    if chosen == "jsonl":
        return list(files.read_jsonl(source, source.name))
    raise click.UsageError(f"Can't tell the format of {source.name}; give --input-format jsonl or csv.")


@contextlib.contextmanager
def _decoding(source: IO[str] | None) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        assert source is not None
        raise ValueError(f"{source.name} is not UTF-8 ({error.reason}); convert it, with iconv for one.") from None


def _write_rankings(
    stream: IO[str], output_format: str, items: Sequence[QueryCandidates], reranker: Reranker, top_k: int | None
) -> None:
    if output_format == "csv":
        write = files.CsvWriter(stream, items).write
    else:
        write = partial(files.write_jsonl if output_format == "jsonl" else files.write_table, stream)
    quiet = len(items) <= _QUERIES_AT_ONCE or not sys.stderr.isatty()
    with click.progressbar(length=len(items), label="Reranking", file=sys.stderr, hidden=quiet) as progress:
        for start in range(0, len(items), _QUERIES_AT_ONCE):
            some = items[start : start + _QUERIES_AT_ONCE]
            rankings = reranker.rank_many([item.query for item in some], [item.candidates for item in some])
            for item, ranking in zip(some, rankings, strict=True):
                write(item, ranking[:top_k])
            progress.update(len(some))
