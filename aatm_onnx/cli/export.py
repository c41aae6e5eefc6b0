"""`aatm-onnx export`."""

import contextlib
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from ..models import default_output
from . import options
from .info import fidelity_of
from .terminal import printable

_BAR = 24  # characters


@click.command("export")
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
    type=options.Finite(-1, 1),
    help="The least Kendall's tau that int8 and int4 are accepted with, between their order of a query's candidates and"
    " float32's; default: 0.98 and 0.95.",
)
@click.option("--force", is_flag=True, help="Replace a bundle that exists, once the new one has proved itself.")
def command(
    checkpoint: str, output: Path | None, graph: str, precision: str, min_tau: float | None, force: bool
) -> None:
    """Turn a Qwen3 reranker CHECKPOINT (a hub id or a folder) into a bundle."""
    with contextlib.closing(ProgressLine(sys.stderr)) as progress:
        bundle = export_module().export_checkpoint(
            checkpoint,
            output or default_output(checkpoint),
            graph=graph,
            precision=precision,
            min_tau=min_tau,
            force=force,
            progress=progress,
        )
    click.echo(printable(f"{bundle.path}: {fidelity_of(bundle.manifest.graph)}"))


class ProgressLine:
    """Says each step of an export on a line; on a terminal, the line of a long step has a bar and the time left."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._open = ""  # the step whose line has not ended

    def __call__(self, progress: Any) -> None:
        """Show an `aatm_onnx_export.Progress`."""
        if progress.fraction is None:
            self._end()
            click.echo(printable(f"{progress.step} ..."), file=self._stream, nl=not self._stream.isatty())
            self._open = progress.step if self._stream.isatty() else ""
        elif self._open:
            done = round(progress.fraction * _BAR)
            bar = "#" * done + "-" * (_BAR - done)
            left = f", {_duration(progress.seconds_left)} left" if progress.seconds_left else ""
            line = printable(f"{progress.step} ... [{bar}] {progress.fraction:.0%}{left}")
            click.echo(f"\r\x1b[K{line}", file=self._stream, nl=False)

    def close(self) -> None:
        """End the last line."""
        self._end()

    def _end(self) -> None:
        if self._open:
            click.echo(file=self._stream)
            self._open = ""


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def export_module() -> Any:
    """Import `aatm_onnx_export`, which needs the packages of the extra `export`.

    Raises:
        ImportError: one of them is missing; the message says what to install.
    """
    import aatm_onnx_export

    return aatm_onnx_export
