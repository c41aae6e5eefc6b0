"""`aatm-onnx info`."""

import warnings

import click

from .. import __version__
from ..bundle import Bundle, Graph, open_bundle
from ..errors import BundleError
from ..models import find_bundle
from ..runtime.session import open_session
from . import options
from .terminal import printable


@click.command("info")
@options.bundle
def command(bundle: str | None) -> None:
    """Say what a BUNDLE (default: the default model) is, and what this machine runs it on."""
    opened = open_bundle(find_bundle(bundle))
    manifest, config = opened.manifest, opened.manifest.config
    size = sum(entry.size for entry in manifest.files.values())
    revision = f" at {manifest.source.revision}" if manifest.source.revision else ""
    rows = {
        "aatm-onnx": __version__,
        "bundle": str(opened.path),
        "size": f"{size / 1e6:.1f} MB in {len(manifest.files)} files",
        "source": manifest.source.checkpoint + revision,
        "architecture": f"Qwen3, {config.num_hidden_layers} layers, hidden {config.hidden_size},"
        f" {config.num_attention_heads}/{config.num_key_value_heads} heads of {config.head_dim},"
        f" intermediate {config.intermediate_size}, vocabulary {config.vocab_size}",
        "graph": f"{manifest.graph.kind}, {manifest.graph.precision}",
        "fidelity": fidelity_of(manifest.graph),
        "max length": f"{manifest.max_length} tokens",
        "task": manifest.prompt.task,
        "made with": ", ".join(f"{tool} {version}" for tool, version in manifest.tools.items()),
        "runs on": _runs_on(opened),
    }
    for name, value in rows.items():
        click.echo(f"{name + ':':<14}{printable(value)}")


def fidelity_of(graph: Graph) -> str:
    """How far the scores were from float32 at export."""
    if (fidelity := graph.fidelity) is None:
        return f"scores within {graph.difference:.1e} of float32"
    layers = ", ".join(map(str, fidelity.float_layers)) or "none"
    also = "".join(f"; {method}" for method in fidelity.methods)
    return (
        f"tau {fidelity.tau:.4f} to float32's order, scores differ by {fidelity.mean_difference:.1e} on average,"
        f" {fidelity.largest_difference:.1e} at most ({fidelity.queries} queries, {fidelity.pairs} pairs;"
        f" layers left in float: {layers}{also})"
    )


def _runs_on(bundle: Bundle) -> str:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            provider = open_session(bundle).provider
    except (ImportError, BundleError) as error:
        return f"nothing: {error}"
    return " ".join([provider, *(f"({warning.message})" for warning in caught)])
