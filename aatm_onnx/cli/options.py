"""Options that several commands share."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from ..load import RERANKER_NAMES
from ..runtime.providers import Provider

if TYPE_CHECKING:  # commands that need no vocabulary don't wait for it
    from ..mapping.run import Read
    from ..vocabulary import Filters, Vocabulary

_Function = TypeVar("_Function", bound=Callable[..., Any])

SEARCH = "retriever"  # the model's name that means the vocabulary's search alone
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Finite(click.FloatRange):
    """A number that is one: `nan`, which float takes, is neither above nor below anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number, or refuse the option's value."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def _model(names: str) -> Callable[[_Function], _Function]:
    return click.option("--model", default="default", show_default=True, help=names)


_NAMES = f"A reranker's name ({', '.join(RERANKER_NAMES)})"
model = _model(f"{_NAMES} or the path of a bundle.")
mapping_model = _model(f"{_NAMES}, the path of a bundle, or retriever: by similarity alone.")
provider = click.option(
    "--provider",
    type=click.Choice(get_args(Provider)),
    default="auto",
    show_default=True,
    help="What to run models on.",
)
threads = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads; default: all usable CPUs, and never more."
)
cached_scores = click.option(
    "--cached-scores",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="PAIRS",
    help="How many pairs' scores to keep, in case the pairs come again; some 250 bytes each.",
)
bundle = click.argument("bundle", required=False)
candidates = click.option(
    "--candidates",
    "retrieved",
    type=click.IntRange(1, 1000),
    default=50,
    show_default=True,
    help="How many concepts to find for a term.",
)
vocabulary = click.option(
    "--vocabulary",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What `aatm-onnx index` made.",
)


def filters(command: _Function) -> _Function:
    """The options that say which concepts may be found."""
    for option in (
        click.option(
            "--any-standard", is_flag=True, help="Also non-standard concepts, where the vocabulary has standard ones."
        ),
        click.option("--class", "classes", multiple=True, help="Only concepts of this class; may be repeated."),
        click.option("--domain", "domains", multiple=True, help="Only concepts of this domain; may be repeated."),
        click.option(
            "--target-vocabulary",
            "vocabularies",
            multiple=True,
            help="Only concepts of this vocabulary; may be repeated.",
        ),
    ):
        command = option(command)
    return command


def filters_of(opened: "Vocabulary", any_standard: bool, given: dict[str, Any]) -> "Filters":
    """The filters that these options mean; standard concepts alone, unless told otherwise or there are none.

    Raises:
        ValueError: no concept meets a filter, or all of them together; raised before anything is scored.
    """
    from ..vocabulary import Filters

    chosen = {name: tuple(given.pop(name)) for name in ("vocabularies", "domains", "classes")}
    found = Filters(**chosen, standard=opened.has_standard_concepts and not any_standard)
    if not opened.count(found):
        others = found.standard and opened.count(replace(found, standard=False))
        cure = f"{others} do that are not standard: give --any-standard" if others else "leave one out"
        raise ValueError(f"No concept of the vocabulary meets all filters together; {cure}.")
    return found


def reading(command: _Function) -> _Function:
    """The options that say how terms are read."""
    own = "A CSV of your own shorthand: short form, meaning."
    command = click.option("--abbreviations", type=EXISTING_FILE, help=own)(command)
    clean = "Read terms as a mapper would."
    return click.option("--clean/--no-clean", default=True, show_default=True, help=clean)(command)


def read_of(opened: "Vocabulary", chosen: "Filters", clean: bool, abbreviations: Path | None) -> "Read":
    """How terms are read with these options; `chosen` says which concepts may be found.

    Raises:
        ValueError: the abbreviations can't be read.
        click.UsageError: there are some, but terms are to be matched as they are.
    """
    if abbreviations and not clean:
        raise click.UsageError("--abbreviations does nothing with --no-clean; leave one out.")
    from ..mapping.abbreviations import read_abbreviations
    from ..mapping.cleaning import Reading, TermReader

    own = read_abbreviations(abbreviations) if abbreviations else {}
    return TermReader(own, lambda text: opened.has_name(text, chosen)) if clean else Reading


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal with the time left; nothing where standard error is not one."""
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        yield bar.update
