"""`aatm-onnx verify`."""

import click

from ..bundle import open_bundle
from ..errors import BundleError
from ..models import find_bundle
from ..runtime.providers import Provider
from ..runtime.session import open_session
from ..runtime.verify import check_conformance
from . import options
from .export import export_module
from .terminal import printable


@click.command("verify")
@options.bundle
@click.option("--against", metavar="CHECKPOINT", help="Also compare with this checkpoint in float32 transformers.")
@options.provider
@options.threads
def command(bundle: str | None, against: str | None, provider: Provider, threads: int | None) -> None:
    """Prove that a BUNDLE (default: the default model) is whole and computes the scores it was exported with."""
    opened = open_bundle(find_bundle(bundle))
    for name in opened.check_hashes():
        click.echo(printable(f"{name}: sha256 is right"))
    for name in opened.unlisted_files():
        click.echo(printable(f"{name}: not listed in bundle.json, and never read"))
    session = open_session(opened, provider, threads)
    outcomes = {"its conformance vectors": check_conformance(opened, session)}
    if against is not None:
        outcomes[f"{against} in float32 transformers"] = export_module().compare_with_checkpoint(
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
