"""A checkpoint becomes a bundle, or nothing is written."""

import contextlib
import os
import shlex
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
    Prompt,
    check_prompt,
    open_bundle,
)
from aatm_onnx.errors import BundleError, ExportError
from aatm_onnx.models import with_home
from aatm_onnx.prompt import DEFAULT_MAX_LENGTH, DEFAULT_PREFIX, DEFAULT_SUFFIX, DEFAULT_TASK, format_instruction
from aatm_onnx.ranking import check_count, check_text

from .checkpoint import Checkpoint, open_checkpoint
from .draft import Draft
from .graph.weight_file import DATA_SUFFIX
from .installed import check_installed
from .kinds import graph_kind, strategy_of
from .progress import Callback, Reporter

_DATA_FILE = GRAPH_FILE + DATA_SUFFIX
_BUNDLE_FILES = {MANIFEST_FILE, TOKENIZER_FILE, CONFORMANCE_FILE, PREFIX_KV_FILE, GRAPH_FILE, _DATA_FILE}
# What a bundle holds beside its graph: tokenizer, shared prefix (17 MB at 8B), vectors and manifest.
_OTHER_BYTES = 32 << 20


def export_checkpoint(
    checkpoint: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    precision: str = "fp32",
    graph: str = "fused",
    force: bool = False,
    task: str = DEFAULT_TASK,
    prefix: str = DEFAULT_PREFIX,
    suffix: str = DEFAULT_SUFFIX,
    max_length: int = DEFAULT_MAX_LENGTH,
    min_tau: float | None = None,
    progress: Callback = lambda progress: None,
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
        task: the instruction that the bundle is for.
        prefix: the text before every pair.
        suffix: the text after every pair.
        max_length: the most tokens of a prompt.
        min_tau: for int8 and int4, the least Kendall's tau within a query of the calibration prompts, where the graph's
            own (0.98 and 0.95) is not wanted.
        progress: called with a `Progress` at the start of every step, and whenever a part of a long one is done.

    Returns:
        The bundle, opened.

    Raises:
        ExportError: the checkpoint, the output or this machine does not allow it, or the graph's scores are off.
        ValueError: a name or a part of the prompt is not text, or `max_length` not a number.
        OSError: the disk is full, or a file can't be read.
    """
    checkpoint, output = os.fspath(checkpoint), with_home(os.fspath(output))
    check_text(str(output.absolute()), "The output's path")
    texts = ((task, "The task"), (prefix, "The prefix"), (suffix, "The suffix"))
    task, prefix, suffix = (check_text(text, what) for text, what in texts)
    max_length = check_count(max_length, "max_length", 1)
    report, kind = Reporter(progress), graph_kind(graph)
    strategy = strategy_of(graph, precision, min_tau)
    target = output.resolve()  # where it is a link, what it leads to is replaced
    remove_leftovers(target)
    _check_output(output, force)
    check_installed(kind.requires)
    command = ["aatm-onnx", "export", checkpoint, "--output", str(output), "--graph", graph, "--precision", precision]
    with partial_folder(target) as folder:  # where it can't be made, no weights are downloaded
        report.step(f"Reading {checkpoint}")
        source = open_checkpoint(checkpoint)
        check_text(source.source.checkpoint, "The checkpoint's name")
        _check_disk(target.parent, kind.disk_bytes(source, precision))
        (folder / TOKENIZER_FILE).write_bytes((source.folder / TOKENIZER_FILE).read_bytes())
        prompt = _prompt(source, task, prefix, suffix)
        draft = Draft(folder, source, graph, precision, prompt, max_length, shlex.join(command + ["--force"] * force))
        _check_prompt(draft)
        proved = strategy.prove(draft, report)
        report.step("Hashing the files")
        manifest = draft.manifest(proved, _tool_versions(("aatm-onnx", *kind.tools, "onnxruntime", "onnxruntime-gpu")))
        (folder / MANIFEST_FILE).write_text(manifest.to_json(), "utf-8")
        try:
            bundle = open_bundle(folder)
        except BundleError as error:
            raise ExportError(f"The bundle that was made can't be opened ({error}).") from error
        _check_output(output, force)  # it may have appeared meanwhile
        move_folder(folder, target)
    return replace(bundle, path=output)


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


def _check_prompt(draft: Draft) -> None:
    if draft.tokenizer.fills_room(format_instruction(draft.prompt.task, "", "")):
        raise ExportError(
            f"max_length is {draft.max_length}, which prefix, task and suffix take alone; give more, so that query and"
            " document have room."
        )
    try:
        check_prompt(draft.prompt, draft.max_length)
    except ValueError as error:
        raise ExportError(f"No reranker would open this bundle: {error}; give another prompt or max_length.") from error


def _tool_versions(distributions: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in distributions:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _check_disk(parent: Path, graph_bytes: int) -> None:
    free, needed = shutil.disk_usage(parent).free, graph_bytes + _OTHER_BYTES
    if free < needed:
        raise ExportError(f"{parent} has {_size(free)} of free disk space, and the export needs {_size(needed)}.")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
