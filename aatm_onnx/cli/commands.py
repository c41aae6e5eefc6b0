"""The command line: its commands, its signals, and its errors in one sentence each."""

import importlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence

import click

from ..errors import ProviderError, ScoreError
from ..interrupts import ended_by_interrupts
from .terminal import printable

# Every command is `command` in the module of its name. Modules are imported when they are called: `aatm-onnx rerank`
# waits for nothing that another command needs.
_COMMANDS = {
    "rerank": "Order candidates by how well they match a query.",
    "info": "Say what a bundle is, and what this machine runs it on.",
    "verify": "Prove that a bundle is whole and computes the scores it was exported with.",
    "serve": "Serve rerankers over HTTP, to every client of a rerank API.",
    "aatm": "Run aatm's own command line with this package's rerankers.",
    "index": "Index a vocabulary, to find candidates in it.",
    "map": "Map a source list to a vocabulary's concepts.",
    "evaluate": "Say how well models map terms that were reviewed already.",
    "export": "Turn a Qwen3 reranker checkpoint into a bundle.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        with ended_by_interrupts():
            command: click.Command = importlib.import_module(f"{__package__}.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _say_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from ..version import __version__  # asking what is installed takes as long as importing click

        click.echo(f"{context.find_root().info_name}, version {__version__}")
        context.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_say_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Rerank terminology candidates with a Qwen3 reranker on ONNX Runtime, without PyTorch."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 done, 1 it failed, 2 wrong usage, 130 interrupted."""
    _fill_closed_streams()
    _write_what_can_be_written()
    _clean_up_when_terminated()
    warnings.showwarning = lambda message, *_, **__: _say(f"Warning: {message}")
    try:
        sys.exit(cli.main(arguments, "aatm-onnx", standalone_mode=False))
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted.")
        sys.exit(130)
    except (ValueError, ImportError, ProviderError, ScoreError, OSError, click.ClickException) as error:
        _say(f"Error: {_sentence(error)}")
        sys.exit(1)


def _say(message: str) -> None:
    click.echo(printable(message), err=True)


def _sentence(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.strerror}." if error.filename is None else f"{error.filename}: {error.strerror}."
    return str(error)


def _fill_closed_streams() -> None:
    """Open what a service or cron job has closed (`2>&-`), else the next file that is opened gets the stream's number.

    A closed standard input or output stays None in `sys`, so that whoever needs it can say that it is closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for the whole run


def _write_what_can_be_written() -> None:
    """Write `?` for what the code page does not have: a path's letter must not end what has been done already."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _clean_up_when_terminated() -> None:
    """By default these signals end the process at once, and what it was writing would stay, half done."""
    for number in {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:  # Windows has no SIGHUP
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup's stays ignored
            signal.signal(number, lambda number, _: sys.exit(128 + number))
