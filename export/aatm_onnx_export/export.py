"""A checkpoint becomes a bundle, or nothing is written."""

import contextlib
import shutil
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aatm_onnx.atomic import move_folder, partial_folder, remove_leftovers
from aatm_onnx.bundle import (
    CONFORMANCE_FILE,
    GRAPH_FILE,
    MANIFEST_FILE,
    PREFIX_KV_FILE,
    TOKENIZER_FILE,
    Bundle,
    Graph,
    Manifest,
    Prompt,
    describe_files,
    open_bundle,
)
from aatm_onnx.errors import ExportError
from aatm_onnx.prompt import DEFAULT_MAX_LENGTH, DEFAULT_PREFIX, DEFAULT_SUFFIX, DEFAULT_TASK

from .checkpoint import Checkpoint, open_checkpoint
from .exact import write_exact
from .graphs import GraphKind, Progress, check_installed, graph_kind
from .rounded import write_rounded

_BUNDLE_FILES = {MANIFEST_FILE, TOKENIZER_FILE, CONFORMANCE_FILE, PREFIX_KV_FILE, GRAPH_FILE, GRAPH_FILE + ".data"}
# What a bundle holds beside its graph: tokenizer, head (17 MB at 8B), vectors and manifest.
_OTHER_BYTES = 32 << 20


def export_checkpoint(
    checkpoint: str,
    output: Path,
    *,
    precision: str = "fp32",
    graph: str = "fused",
    force: bool = False,
    task: str = DEFAULT_TASK,
    prefix: str = DEFAULT_PREFIX,
    suffix: str = DEFAULT_SUFFIX,
    max_length: int = DEFAULT_MAX_LENGTH,
    min_tau: float | None = None,
    progress: Progress = lambda step: None,
) -> Bundle:
    """Write the bundle of a Qwen3 reranker checkpoint.

    It is written beside `output`, and renamed into place once its scores have proved to be those of the model in
    float32, or in int8 and int4 to keep their order; whatever fails, nothing is left behind and an older bundle stays
    as it was.

    Args:
        checkpoint: a local folder or a hub id.
        output: the bundle's folder.
        precision: how weights are stored; each kind of graph has its own.
        graph: the kind of graph.
        force: replace the bundle that is at `output`; a folder that is not a bundle is never replaced.
        task, prefix, suffix, max_length: the prompt that the bundle is for.
        min_tau: for int8 and int4, the least Kendall's tau within a query of the calibration prompts, where the graph's
            own (0.98 and 0.95) is not wanted.
        progress: called with a few words at every step.

    Raises:
        ExportError: the checkpoint, the output or this machine does not allow it, or the graph's scores are off.
    """
    kind = graph_kind(graph)
    _check_precision(kind, precision, min_tau)
    target = output.resolve()  # where it is a link, what it leads to is replaced
    remove_leftovers(target)
    _check_output(output, force)
    check_installed(kind.requires)
    progress(f"Reading {checkpoint}")
    source = open_checkpoint(checkpoint)
    _check_disk(target.parent, kind.disk_bytes(source, precision))
    with partial_folder(target) as folder:
        shutil.copyfile(source.folder / TOKENIZER_FILE, folder / TOKENIZER_FILE)
        manifest = _describe(source, kind, precision, _prompt(source, task, prefix, suffix), max_length)
        bundle = Bundle(folder, manifest)
        if precision in kind.min_taus:
            tau = kind.min_taus[precision] if min_tau is None else min_tau
            proved = write_rounded(source, bundle, tau, progress)
        else:
            proved = write_exact(kind, source, bundle, progress)
        progress("Hashing the files")
        manifest = replace(manifest, graph=proved, files=describe_files(folder))
        (folder / MANIFEST_FILE).write_text(manifest.to_json(), "utf-8")
        _check_output(output, force)  # it may have appeared meanwhile
        move_folder(folder, target)
    return open_bundle(output)


def _check_precision(kind: GraphKind, precision: str, min_tau: float | None) -> None:
    if precision not in kind.tolerances:
        raise ExportError(
            f"The {kind.name} graph has no precision {precision!r}; choose from {', '.join(kind.tolerances)}."
        )
    if min_tau is not None and precision not in kind.min_taus:
        raise ExportError(f"{precision} does not change the order of candidates: leave out --min-tau.")


def _check_output(output: Path, force: bool) -> None:
    if not output.exists() and not output.is_symlink():
        return
    if not force:
        raise ExportError(f"{output} exists; name another output, or replace the bundle there with --force.")
    if not (output / MANIFEST_FILE).is_file():
        raise ExportError(f"{output} exists and is not a bundle, so --force does not replace it; name another output.")
    if others := sorted({file.name for file in output.iterdir()} - _BUNDLE_FILES):
        raise ExportError(
            f"{output} has more in it than a bundle ({', '.join(others)}), which --force would remove; move that away"
            " or name another output."
        )


def _prompt(checkpoint: Checkpoint, task: str, prefix: str, suffix: str) -> Prompt:
    ids = (checkpoint.tokenizer.encode(part, add_special_tokens=False).ids for part in (prefix, suffix))
    return Prompt(task, prefix, suffix, *ids)


def _describe(checkpoint: Checkpoint, kind: GraphKind, precision: str, prompt: Prompt, max_length: int) -> Manifest:
    """The manifest, but for what only the finished files can tell: their hashes and the measured difference."""
    return Manifest(
        source=checkpoint.source,
        config=checkpoint.architecture,
        graph=Graph(kind.name, precision, GRAPH_FILE, tolerance=kind.tolerances[precision], difference=float("nan")),
        prompt=prompt,
        yes_token_id=checkpoint.yes_token_id,
        no_token_id=checkpoint.no_token_id,
        pad_token_id=checkpoint.pad_token_id,
        max_length=max_length,
        files={},
        tools=_tool_versions(("aatm-onnx", *kind.tools, "onnxruntime", "onnxruntime-gpu")),
    )


def _tool_versions(distributions: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in distributions:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _check_disk(parent: Path, graph_bytes: int) -> None:
    disk = next(folder for folder in (parent, *parent.parents) if folder.exists())
    free, needed = shutil.disk_usage(disk).free, graph_bytes + _OTHER_BYTES
    if free < needed:
        raise ExportError(f"{parent} has {_size(free)} of free disk space, and the export needs {_size(needed)}.")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
