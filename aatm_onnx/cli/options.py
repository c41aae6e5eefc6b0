"""Options that several commands share."""

from typing import get_args

import click

from ..load import RERANKER_NAMES
from ..runtime.providers import Provider

model = click.option(
    "--model",
    default="default",
    show_default=True,
    help=f"A reranker's name ({', '.join(RERANKER_NAMES)}) or the path of a bundle.",
)
provider = click.option(
    "--provider", type=click.Choice(get_args(Provider)), default="auto", show_default=True, help="Execution provider."
)
threads = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads; default: all usable CPUs, and never more."
)
bundle = click.argument("bundle", required=False)
