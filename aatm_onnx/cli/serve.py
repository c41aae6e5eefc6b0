"""`aatm-onnx serve`."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from starlette.routing import Route

_LEVELS = ("debug", "info", "warning", "error")


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=["default"],
    show_default=True,
    metavar="[NAME=]MODEL",
    help="A reranker's name or a bundle's path, and what requests call it. May be given several times; the first"
    " answers where a request names none.",
)
@click.option("--fallback", type=click.Choice(["bm25"]), help="What to serve where a model can't run.")
@options.provider
@options.threads
@options.cached_scores
@click.option("--task", help="The instruction where a request gives none.")
@click.option("--max-length", type=click.IntRange(min=1), help="The most tokens of a prompt.")
@click.option("--truncate/--no-truncate", default=True, show_default=True, help="Cut over-long pairs, or refuse them.")
@click.option(
    "--api-key-file",
    type=options.EXISTING_FILE,
    help="API keys, one a line; more in $AATM_ONNX_API_KEYS, separated by commas.",
)
@click.option("--allow-anonymous", is_flag=True, help="Listen on other than loopback addresses without a key.")
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="A web origin whose pages may call, as in https://app.example; * means all.",
)
@click.option("--tls-certificate", type=options.EXISTING_FILE, help="PEM file with the certificate chain.")
@click.option("--tls-key", type=options.EXISTING_FILE, help="PEM file with its key.")
@click.option("--max-documents", type=click.IntRange(min=1), default=10_000, show_default=True, help="Of one request.")
@click.option("--max-body-mb", type=click.IntRange(min=1), default=8, show_default=True, help="Of one request.")
@click.option(
    "--max-wait", type=options.Finite(min=0.1), default=60.0, show_default=True,
    help="Refuse requests that would wait longer, in seconds.",
)  # fmt: skip
@click.option(
    "--max-queued-pairs", type=click.IntRange(min=1), default=50_000, show_default=True,
    help="Refuse requests with which more pairs would wait.",
)  # fmt: skip
@click.option("--timeout", type=options.Finite(min=0.1), default=300.0, show_default=True, help="Of an answer, in s.")
@click.option("--drain", type=options.Finite(min=0), default=30.0, show_default=True, help="Time to finish, in s.")
@click.option(
    "--vocabulary",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What `aatm-onnx index` made: adds /search, and /reconcile for OpenRefine.",
)
@click.option("--log-level", type=click.Choice(_LEVELS), default="info", show_default=True)
def command(
    host: str,
    port: int,
    models: tuple[str, ...],
    fallback: str | None,
    truncate: bool,
    api_key_file: Path | None,
    allow_anonymous: bool,
    cors_origins: tuple[str, ...],
    tls_certificate: Path | None,
    tls_key: Path | None,
    max_documents: int,
    max_body_mb: int,
    max_wait: float,
    max_queued_pairs: int,
    timeout: float,
    drain: float,
    vocabulary: Path | None,
    log_level: str,
    **model_options: Any,
) -> None:
    """Serve rerankers over HTTP, in the forms of TEI, Cohere, Jina, vLLM, infinity, llama.cpp and Voyage.

    The first SIGTERM, SIGHUP or Ctrl-C finishes what was admitted; a second SIGTERM or Ctrl-C ends at once.
    """
    try:
        from ..serve.auth import KEYS_VARIABLE, is_loopback, read_keys
        from ..serve.logs import log_as_json
        from ..serve.models import loader, parse_models
        from ..serve.run import run
        from ..serve.settings import Limits, Settings
    except ModuleNotFoundError as error:
        raise ImportError(f"The server needs more packages ({error}): pip install 'aatm-onnx[cpu,server]'.") from None
    keys = read_keys(api_key_file, os.environ.get(KEYS_VARIABLE))
    if not keys and not allow_anonymous and not is_loopback(host):
        raise click.UsageError(
            f"Everybody who reaches {host} could use this server. Give --api-key-file (or ${KEYS_VARIABLE}),"
            " or say --allow-anonymous."
        )
    if (tls_certificate is None) != (tls_key is None):
        raise click.UsageError("TLS needs both --tls-certificate and --tls-key.")
    log_as_json(log_level)
    logging.captureWarnings(True)
    limits = Limits(
        body_bytes=max_body_mb * 1_000_000,
        documents=max_documents,
        queued_pairs=max_queued_pairs,
        wait_seconds=max_wait,
        answer_seconds=timeout,
    )
    settings = Settings(limits, keys, cors_origins, truncate)
    run(
        loader(parse_models(models), fallback, model_options),
        settings,
        host=host,
        port=port,
        certificate=tls_certificate,
        private_key=tls_key,
        drain_seconds=drain,
        routes=_vocabulary_routes(vocabulary) if vocabulary else (),
    )


def _vocabulary_routes(folder: Path) -> "list[Route]":
    from ..serve.lookup import Lookup
    from ..serve.reconcile import Reconciliation
    from ..vocabulary import Vocabulary

    lookup = Lookup(Vocabulary(folder))
    return [*lookup.routes(), *Reconciliation(lookup).routes()]
