"""The command line: rerank, info, verify, export."""

import contextlib
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, get_args

import click

from .. import __version__
from ..bundle import Bundle, Graph, open_bundle
from ..errors import BundleError, ExportError, ProviderError, ScoreError
from ..load import RERANKER_NAMES, load_reranker
from ..models import default_output, find_bundle
from ..reranker import Reranker
from ..runtime.providers import Provider
from ..runtime.session import open_session
from . import formats as files
from .formats import QueryCandidates
from .serve import serve

# Queries scored together: enough to fill batches, few enough that progress shows and results come as they are ready.
_QUERIES_AT_ONCE = 16

_model = click.option(
    "--model",
    default="default",
    show_default=True,
    help=f"A reranker's name ({', '.join(RERANKER_NAMES)}) or the path of a bundle.",
)
_provider = click.option(
    "--provider", type=click.Choice(get_args(Provider)), default="auto", show_default=True, help="Execution provider."
)
_threads = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads; default: all usable CPUs, and never more."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Rerank terminology candidates with a Qwen3 reranker on ONNX Runtime, without PyTorch."""


@cli.command()
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
@_model
@_provider
@_threads
@click.option("--fallback", type=click.Choice(["bm25"]), help="What to use where the model can't run.")
@click.option("--task", help="The instruction to the model.")
@click.option("--max-length", type=click.IntRange(min=1), help="The most tokens of a prompt.")
def rerank(
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
    reranker = _load(**model_options)
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


def _load(model: str, fallback: str | None, **options: Any) -> Reranker:
    return load_reranker(model, fallback=fallback, **options)


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


@cli.command()
@click.argument("bundle", required=False)
def info(bundle: str | None) -> None:
    """Say what a BUNDLE (default: the default model) is, and what this machine runs it on."""
    opened = open_bundle(find_bundle(bundle))
    manifest, architecture = opened.manifest, opened.manifest.config
    size = sum(entry.size for entry in manifest.files.values())
    revision = f" at {manifest.source.revision}" if manifest.source.revision else ""
    rows = {
        "aatm-onnx": __version__,
        "bundle": str(opened.path),
        "size": f"{size / 1e6:.1f} MB in {len(manifest.files)} files",
        "source": manifest.source.checkpoint + revision,
        "architecture": f"Qwen3, {architecture.num_hidden_layers} layers, hidden {architecture.hidden_size},"
        f" {architecture.num_attention_heads}/{architecture.num_key_value_heads} heads of {architecture.head_dim},"
        f" intermediate {architecture.intermediate_size}, vocabulary {architecture.vocab_size}",
        "graph": f"{manifest.graph.kind}, {manifest.graph.precision}",
        "fidelity": _fidelity(manifest.graph),
        "max length": f"{manifest.max_length} tokens",
        "task": manifest.prompt.task,
        "made with": ", ".join(f"{tool} {version}" for tool, version in manifest.tools.items()),
        "runs on": _runs_on(opened),
    }
    for name, value in rows.items():
        click.echo(f"{name + ':':<14}{value}")


def _fidelity(graph: Graph) -> str:
    """How far the scores were from float32 at export."""
    if (fidelity := graph.fidelity) is None:
        return f"scores within {graph.difference:.1e} of float32"
    layers = ", ".join(map(str, fidelity.float_layers)) or "none"
    return (
        f"tau {fidelity.tau:.4f} to float32's order, scores differ by {fidelity.mean_difference:.1e} on average,"
        f" {fidelity.largest_difference:.1e} at most ({fidelity.queries} queries, {fidelity.pairs} pairs;"
        f" layers left in float: {layers})"
    )


def _runs_on(bundle: Bundle) -> str:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            provider = open_session(bundle).provider
    except (ImportError, BundleError) as error:
        return f"nothing: {error}"
    return " ".join([provider, *(f"({warning.message})" for warning in caught)])


@cli.command()
@click.argument("bundle", required=False)
@click.option("--against", metavar="CHECKPOINT", help="Also compare with this checkpoint in float32 transformers.")
@_provider
@_threads
def verify(bundle: str | None, against: str | None, provider: Provider, threads: int | None) -> None:
    """Prove that a BUNDLE (default: the default model) is whole and computes the scores it was exported with."""
    from ..runtime.verify import check_conformance

    opened = open_bundle(find_bundle(bundle))
    for name in opened.check_hashes():
        click.echo(f"{name}: sha256 is right")
    session = open_session(opened, provider, threads)
    outcomes = {"its conformance vectors": check_conformance(opened, session)}
    if against is not None:
        outcomes[f"{against} in float32 transformers"] = _export_module().compare_with_checkpoint(
            opened, session, against
        )
    for what, outcome in outcomes.items():
        click.echo(
            f"{outcome.prompts} prompts on {session.provider}: scores differ by at most"
            f" {outcome.largest_difference:.2e} from {what} (allowed: {outcome.tolerance:.0e})"
        )
    own, *others = outcomes.values()
    if not own.passed:
        raise BundleError(f"{opened.path} does not compute the scores that it was exported with on this machine.")
    if not all(other.passed for other in others):
        raise BundleError(f"{opened.path} does not compute the scores of {against}: it is of other weights.")


@cli.command()
@click.argument("checkpoint")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Default: models/NAME.")
@click.option(
    "--graph",
    default="fused",
    show_default=True,
    help="fused (ONNX Runtime's operators, beginnings of prompts shared), cuda (the same for NVIDIA GPUs) or standard"
    " (plain ONNX, for any runtime).",
)
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    help="How weights are stored: fp32, fp16; fused also int8, int4; cuda only fp16.",
)
@click.option(
    "--min-tau",
    type=click.FloatRange(-1, 1),
    help="Accept int8 and int4 from this Kendall's tau on, between their order of a query's candidates and float32's;"
    " default: 0.98 and 0.95.",
)
@click.option("--force", is_flag=True, help="Replace a bundle that exists, once the new one has proved itself.")
def export(
    checkpoint: str, output: Path | None, graph: str, precision: str, min_tau: float | None, force: bool
) -> None:
    """Turn a Qwen3 reranker CHECKPOINT (a hub id or a folder) into a bundle."""
    bundle = _export_module().export_checkpoint(
        checkpoint,
        output or default_output(checkpoint),
        graph=graph,
        precision=precision,
        min_tau=min_tau,
        force=force,
        progress=lambda step: click.echo(f"{step} ...", err=True),
    )
    click.echo(f"{bundle.path}: {_fidelity(bundle.manifest.graph)}")


def _export_module() -> Any:
    try:
        import aatm_onnx_export
    except ImportError as error:
        raise ExportError(f"Export needs more packages ({error}): pip install 'aatm-onnx[export]'.") from error
    return aatm_onnx_export


cli.add_command(serve)


def _clean_up_when_terminated() -> None:
    """By default these signals end the process at once, and what it was writing would stay, half done."""
    for number in {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:  # Windows has no SIGHUP
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup's stays ignored
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 done, 1 it failed, 2 wrong usage, 130 interrupted."""
    _clean_up_when_terminated()
    warnings.showwarning = lambda message, *_, **__: click.echo(f"Warning: {message}", err=True)
    try:
        sys.exit(cli.main(arguments, "aatm-onnx", standalone_mode=False))
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except (ValueError, ImportError, ProviderError, ScoreError, OSError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"Error: {message}", err=True)
        sys.exit(1)
