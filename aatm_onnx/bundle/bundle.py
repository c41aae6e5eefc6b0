"""A bundle: one folder that holds everything a score depends on.

bundle.json       the manifest: source, config, prompt, yes/no token ids, size and sha256 of every file
model.onnx        the graph
model.onnx.data   its weights; a standard graph has them inside, up to ONNX's 2 GB
tokenizer.json    the checkpoint's own tokenizer
conformance.json  pairs, their token ids and the logits that these must give, so that any runtime can prove itself
prefix_kv.npz     keys and values of what all prompts begin with, run in float32 (int8, int4, and fused float graphs)
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import BundleError
from .manifest import (
    CONFORMANCE_FILE,
    MANIFEST_FILE,
    PREFIX_KV_FILE,
    TOKENIZER_FILE,
    FileEntry,
    Manifest,
    read_manifest,
)
from .onnx_data import external_data
from .strict_json import read_json
from .typed_json import read_as

_MOST_VECTOR_BYTES = 16 << 20


@dataclass(frozen=True)
class ConformanceVector:
    """One pair, the token ids of its whole prompt, and the logits that these must give.

    The logits are the float32 reference's, or in int8 and int4 those of the graph when it was exported and found good:
    so a machine that computes something else shows, however far quantization is from float32.

    Attributes:
        query: the query's text.
        document: the document's text.
        input_ids: token ids of the whole prompt, (seq,).
        logits: of "no" and "yes".
        float_activation_logits: of int4, what the graph gives where activations stay in float: ONNX Runtime quantizes
            them to 8 bits only on processors that have products of bytes.
    """

    query: str
    document: str
    input_ids: list[int]
    logits: list[float]
    float_activation_logits: list[float] | None = None

    @property
    def all_logits(self) -> list[list[float]]:
        """The logits of every way in which the graph may be computed."""
        return [self.logits] if self.float_activation_logits is None else [self.logits, self.float_activation_logits]


class GraphFiles(Protocol):
    """What a session needs: an opened bundle has it, and so has one that an export is making."""

    @property
    def graph_path(self) -> Path:
        """The ONNX file."""

    @property
    def prefix_kv_path(self) -> Path | None:
        """Keys and values of the tokens that all prompts begin with, if there is such a file."""

    @property
    def kind(self) -> str:
        """The kind of graph: "standard", "fused" or "cuda"."""

    @property
    def precision(self) -> str:
        """How weights are stored: "fp32", "fp16", "int8" or "int4"."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest, all file sizes checked."""

    path: Path
    manifest: Manifest

    @property
    def kind(self) -> str:
        """The kind of graph: "standard", "fused" or "cuda"."""
        return self.manifest.graph.kind

    @property
    def precision(self) -> str:
        """How weights are stored: "fp32", "fp16", "int8" or "int4"."""
        return self.manifest.graph.precision

    @property
    def graph_path(self) -> Path:
        """The ONNX file."""
        return self.path / self.manifest.graph.file

    @property
    def tokenizer_path(self) -> Path:
        """The checkpoint's tokenizer.json."""
        return self.path / TOKENIZER_FILE

    @property
    def prefix_kv_path(self) -> Path | None:
        """Keys and values of the tokens that all prompts begin with, where the manifest lists such a file."""
        return self.path / PREFIX_KV_FILE if PREFIX_KV_FILE in self.manifest.files else None

    def conformance(self) -> list[ConformanceVector]:
        """Read the conformance vectors.

        Raises:
            BundleError: they can't be read, there are none, or they are not for the manifest's prompt.
        """
        file = self.path / CONFORMANCE_FILE
        try:
            vectors: list[ConformanceVector] = read_as(list[ConformanceVector], read_json(file, _MOST_VECTOR_BYTES))
        except (OSError, ValueError, TypeError) as error:
            raise BundleError(f"{file}: the conformance vectors can't be read ({error}); export again.") from error
        prefix, suffix = self.manifest.prompt.prefix_ids, self.manifest.prompt.suffix_ids
        for index, vector in enumerate(vectors):
            ids = vector.input_ids
            if (
                {len(pair) for pair in vector.all_logits} != {2}
                or ids[: len(prefix)] != prefix
                or ids[len(ids) - len(suffix) :] != suffix
            ):
                raise BundleError(f"{file}: vector {index} is not for the prompt in {MANIFEST_FILE}; export again.")
            if len(ids) > self.manifest.max_length:
                raise BundleError(f"{file}: vector {index} is longer than max_length; export again.")
            if not (ids and min(ids) >= 0 and max(ids) < self.manifest.config.vocab_size):
                raise BundleError(f"{file}: vector {index} has tokens that the model does not know; export again.")
        if len({len(vector.all_logits) for vector in vectors}) > 1:
            raise BundleError(f"{file}: only some vectors have float_activation_logits; export again.")
        if not vectors:
            raise BundleError(f"{file} has no conformance vectors, so nothing can be proved; export again.")
        return vectors

    def check_hashes(self) -> Iterator[str]:
        """Hash every file against the manifest, yielding each file's name once it has proved right.

        Raises:
            BundleError: naming the first file whose content is not what the manifest says.
        """
        for name, entry in self.manifest.files.items():
            try:
                right = sha256_of(self.path / name) == entry.sha256
            except OSError as error:
                raise BundleError(
                    f"{self.path / name} can't be read ({error.strerror}); copy it again, or let this user read it."
                ) from error
            if not right:
                raise BundleError(
                    f"{self.path / name} was altered: its sha256 is not the manifest's; export or copy it again."
                )
            yield name

    def unlisted_files(self) -> list[str]:
        """What lies in the folder beside the files of the manifest: nothing ever reads it."""
        return sorted({entry.name for entry in self.path.iterdir()} - {MANIFEST_FILE, *self.manifest.files})


def sha256_of(file: Path) -> str:
    """Hex sha256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def describe_files(folder: Path) -> dict[str, FileEntry]:
    """Size and hash of every file below `folder`, the manifest itself left out, keyed by POSIX relative path."""
    return {
        file.relative_to(folder).as_posix(): FileEntry(file.stat().st_size, sha256_of(file))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST_FILE
    }


def open_bundle(path: str | Path) -> Bundle:
    """Open a bundle: read its manifest and check that every file is there, is the bundle's own, and has its size.

    What a file holds is proved by `Bundle.check_hashes`.

    Raises:
        BundleError: there is no bundle, its format is unknown, or a file is missing, lies elsewhere or has the wrong
            size.
    """
    folder = Path(path)
    try:
        if not (folder / MANIFEST_FILE).is_file():
            raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST_FILE}; make one with `aatm-onnx export`.")
        manifest = read_manifest(folder / MANIFEST_FILE)
        for name, entry in manifest.files.items():
            _check_file(folder, name, entry)
        _check_external_data(folder / manifest.graph.file, manifest)
    except OSError as error:
        raise BundleError(
            f"{folder} can't be read as a bundle ({error}); copy it again, or let this user read it."
        ) from error
    return Bundle(folder, manifest)


def _check_file(folder: Path, name: str, entry: FileEntry) -> None:
    file = folder / name
    if not file.is_file():
        raise BundleError(f"{file} is missing from the bundle; export or copy the bundle again.")
    # In the Hugging Face cache every file is a link to one folder. So links may lead to where the manifest itself lies.
    target = file.resolve()
    if target.parent != (folder / MANIFEST_FILE).resolve().parent and folder.resolve() not in target.parents:
        raise BundleError(
            f"{file} is a link that leads out of the bundle, to {target}; replace the link by the file, or let the"
            " whole folder be the link."
        )
    if (size := file.stat().st_size) != entry.size:
        raise BundleError(
            f"{file} has {size} bytes where the manifest says {entry.size}; export or copy the bundle again."
        )


def _check_external_data(graph: Path, manifest: Manifest) -> None:
    """Weights outside the graph's file must be in files of the manifest: ONNX Runtime 1.20 reads them from anywhere."""
    try:
        tensors = list(external_data(graph))
    except ValueError as error:
        raise BundleError(f"{graph} is not an ONNX graph ({error}); export or copy the bundle again.") from error
    for tensor in tensors:
        entry = manifest.files.get(tensor.location)
        if entry is None:
            raise BundleError(
                f"{graph} has weights in {tensor.location[:80]!r}, which {MANIFEST_FILE} does not list; export the"
                " bundle again."
            )
        if tensor.offset + tensor.length > entry.size:
            raise BundleError(f"{graph} has weights beyond the end of {tensor.location}; export the bundle again.")
