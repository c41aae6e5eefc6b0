"""`aatm-onnx aatm`: aatm's own command line and HTTP server, with this package's rerankers in its registry."""

import functools
import json
import os
from pathlib import Path
from typing import Any

import click

from . import options


@click.command("aatm", context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]})
@click.option("--aatm-names", is_flag=True, help="Let aatm's own reranker names lead to this package's rerankers too.")
@click.option("--bundle", "bundles", multiple=True, metavar="NAME=PATH", help="Add a bundle as reranker NAME.")
@click.option("--min-score", type=options.Finite(0, 1), default=0.0, help="onnx-score selects nothing below this.")
@click.option(
    "--min-margin",
    type=options.Finite(0, 1),
    default=0.0,
    help="... nor what is not this much above the best other concept.",
)
@click.option(
    "--import", "modules", multiple=True, metavar="MODULE", help="Import MODULE, which adds to aatm's registries."
)
@options.provider
@options.threads
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [ARGS]...")
def command(bundles: tuple[str, ...], arguments: tuple[str, ...], **settings: Any) -> None:
    """Run aatm's command line (map, init, serve, ...) with this package's rerankers.

    --reranker-id then takes onnx-default, onnx-qwen3-reranker-0.6b (-4b, -8b) and onnx-bm25, and --selector-id takes
    onnx-score, which selects by the rerank score. Task files and the HTTP server know the same names.

    \b
    aatm-onnx aatm map -i concepts.csv -o out -r qwen3-06B -rr onnx-default -s onnx-score
    aatm-onnx aatm --min-score 0.01 map --task-config-path task.yaml
    """
    settings["bundles"] = dict(_name_and_path(text) for text in bundles)
    from ..aatm_api import set_up  # it imports aatm, and with it PyTorch

    set_up(**settings)
    try:
        _command_line(settings)(args=list(arguments), prog_name="aatm-onnx aatm")
    except NotImplementedError:  # `amap` in aatm 0.1.7
        raise click.ClickException("This version of aatm has no such command yet.") from None


def _name_and_path(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise click.UsageError(f"--bundle takes NAME=PATH, not {text!r}.")
    return name, str(Path(path).absolute())


def _command_line(settings: dict[str, Any]) -> Any:
    """aatm's commands in a Typer application of our own, where `serve` runs aatm's API in this package's module."""
    import aatm.main
    import typer

    app = typer.Typer()
    app.registered_callback = aatm.main.app.registered_callback
    app.registered_commands.extend(aatm.main.app.registered_commands)

    @functools.wraps(aatm.main.serve)  # its options
    def serve(**arguments: Any) -> None:
        _serve(settings, **arguments)

    app.command("serve", help="Serve aatm's HTTP API with this package's rerankers.")(serve)  # the last of a name wins
    return app


def _serve(
    settings: dict[str, Any],
    *,
    host: str,
    port: str,
    mode: str,
    reload: bool,
    workers: int | None,
    rate_limit: int | None,
    batch_size: int,
) -> None:
    """What `aatm serve` does, with uvicorn called directly: aatm asks `fastapi`, which looks for aatm's source tree."""
    import uvicorn
    from aatm.api.config import APIConfig

    from ..aatm_api import SETTINGS

    config = APIConfig(host=host, port=port, rate_limit=rate_limit, batch_size=batch_size, workers=workers)
    Path(".aatm").mkdir(exist_ok=True)
    config.save_to_disk()
    os.environ[SETTINGS] = json.dumps(settings)
    production = mode == "prod"
    uvicorn.run(
        "aatm_onnx.aatm_api:app",
        host=host,
        port=int(port),
        workers=workers if production else None,
        reload=reload and not production,
    )
