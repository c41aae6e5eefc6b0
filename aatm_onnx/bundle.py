"""A bundle: one folder that holds everything a score depends on.

bundle.json       the manifest: source, architecture, prompt, yes/no token ids, size and sha256 of every file
model.onnx        the graph
model.onnx.data   its weights; a standard graph has them inside, up to ONNX's 2 GB
tokenizer.json    the checkpoint's own tokenizer
conformance.json  token ids with the logits they must give, so that any runtime can prove itself
head.npz          of int8 and int4: keys and values of the tokens that all prompts begin with, run in float32
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import BundleError
from .typed_json import read_as

FORMAT_VERSION = 1
MANIFEST_FILE = "bundle.json"
GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
CONFORMANCE_FILE = "conformance.json"
HEAD_FILE = "head.npz"


@dataclass(frozen=True)
class Source:
    """Where the weights came from: a hub id or folder name, and the hub's commit where there is one."""

    checkpoint: str
    revision: str | None = None


@dataclass(frozen=True)
class Architecture:
    """The sizes of the Qwen3 causal LM, named as in its config.json."""

    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    tie_word_embeddings: bool


@dataclass(frozen=True)
class Fidelity:
    """How far a rounded graph's scores were from float32 on the calibration prompts when it was exported.

    tau: Kendall's tau between the two orders of a query's candidates, mean of all queries.
    mean_difference, largest_difference: of the scores.
    queries, pairs: how many were compared.
    float_layers: the layers that were left in float16 to get there, counted from 0.
    """

    tau: float
    mean_difference: float
    largest_difference: float
    queries: int
    pairs: int
    float_layers: list[int]


@dataclass(frozen=True)
class Graph:
    """Which ONNX graph this is.

    kind: "standard" (plain ONNX operators: input_ids, attention_mask -> logits), "fused" (ONNX Runtime's own
        operators; also takes the keys and values of a shared prefix) or "cuda" (the same, for NVIDIA GPUs).
    precision: "fp32", "fp16", "int8", ...: how weights are stored.
    tolerance: how far scores may be from the conformance vectors', on any machine.
    difference: the largest difference from float32 that the export measured on the conformance prompts.
    fidelity: of int8 and int4, what the export measured on the calibration prompts.
    """

    kind: str
    precision: str
    file: str
    tolerance: float
    difference: float
    fidelity: Fidelity | None = None


@dataclass(frozen=True)
class Prompt:
    """The words around every pair, and the token ids of prefix and suffix."""

    task: str
    prefix: str
    suffix: str
    prefix_ids: list[int]
    suffix_ids: list[int]


@dataclass(frozen=True)
class FileEntry:
    """Size in bytes and sha256 (hex) of one file of the bundle."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What bundle.json says."""

    source: Source
    architecture: Architecture
    graph: Graph
    prompt: Prompt
    yes_token_id: int
    no_token_id: int
    pad_token_id: int
    max_length: int
    files: dict[str, FileEntry]
    tools: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """The manifest as the text of bundle.json."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class ConformanceVector:
    """Token ids of one whole prompt and the (no, yes) logits that it must give.

    They are the float32 reference's, or in int8 and int4 what the graph gave when it was exported and found good:
    so a machine that computes something else shows, however far rounding is from float32.
    """

    input_ids: list[int]
    logits: list[float]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest, all file sizes checked."""

    path: Path
    manifest: Manifest

    @property
    def graph_path(self) -> Path:
        """The ONNX file."""
        return self.path / self.manifest.graph.file

    @property
    def tokenizer_path(self) -> Path:
        """The checkpoint's tokenizer.json."""
        return self.path / TOKENIZER_FILE

    def conformance(self) -> list[ConformanceVector]:
        """Read the conformance vectors.

        Raises:
            BundleError: they can't be read, there are none, or they are not for the manifest's prompt.
        """
        file = self.path / CONFORMANCE_FILE
        try:
            vectors: list[ConformanceVector] = read_as(list[ConformanceVector], json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise BundleError(f"{file}: the conformance vectors can't be read ({error}); export again.") from error
        prefix, suffix = self.manifest.prompt.prefix_ids, self.manifest.prompt.suffix_ids
        for index, vector in enumerate(vectors):
            ids = vector.input_ids
            if len(vector.logits) != 2 or ids[: len(prefix)] != prefix or ids[len(ids) - len(suffix) :] != suffix:
                raise BundleError(f"{file}: vector {index} is none for the prompt in {MANIFEST_FILE}; export again.")
            if not (ids and min(ids) >= 0 and max(ids) < self.manifest.architecture.vocab_size):
                raise BundleError(f"{file}: vector {index} has tokens that the model does not know; export again.")
        if not vectors:
            raise BundleError(f"{file} has no conformance vectors, so nothing can be proved; export again.")
        return vectors

    def check_hashes(self) -> Iterator[str]:
        """Hash every file against the manifest, yielding each file's name once it has proved right.

        Raises:
            BundleError: naming the first file whose content is not what the manifest says.
        """
        for name, entry in self.manifest.files.items():
            if sha256_of(self.path / name) != entry.sha256:
                raise BundleError(
                    f"{self.path / name} was altered: its sha256 is not the manifest's; export or copy it again."
                )
            yield name


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
    """Open a bundle: read its manifest and check every file's size (hashes are `check_hashes`).

    Raises:
        BundleError: there is no bundle, its format is unknown, or a file is missing or has the wrong size.
    """
    folder = Path(path)
    if not (folder / MANIFEST_FILE).is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST_FILE}; make one with `aatm-onnx export`.")
    manifest = _read_manifest(folder / MANIFEST_FILE)
    for name, entry in manifest.files.items():
        file = folder / name
        if not file.is_file():
            raise BundleError(f"{file} is missing from the bundle; export or copy the bundle again.")
        if (size := file.stat().st_size) != entry.size:
            raise BundleError(
                f"{file} has {size} bytes where the manifest says {entry.size}; export or copy the bundle again."
            )
    return Bundle(folder, manifest)


def _read_manifest(file: Path) -> Manifest:
    try:
        content = json.loads(file.read_text("utf-8"))
        version = content["format_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{file} is not a manifest ({error}); export the bundle again.") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{file} has format version {version!r}, and this aatm-onnx reads {FORMAT_VERSION};"
            " export the checkpoint again or install the matching aatm-onnx."
        )
    try:
        manifest: Manifest = read_as(Manifest, content)
    except TypeError as error:
        raise BundleError(f"{file} is damaged: {error}; export or copy the bundle again.") from error
    prompt, vocabulary = manifest.prompt, manifest.architecture.vocab_size
    answers = (manifest.yes_token_id, manifest.no_token_id, manifest.pad_token_id)
    for token in (*prompt.prefix_ids, *prompt.suffix_ids, *answers):
        if not 0 <= token < vocabulary:
            raise BundleError(f"{file} is damaged: its vocabulary of {vocabulary} has no token {token}; copy it again.")
    for needed in (manifest.graph.file, TOKENIZER_FILE, CONFORMANCE_FILE):
        if needed not in manifest.files:
            raise BundleError(f"{file} does not list {needed}; export the bundle again.")
    return manifest
