"""The manifest of a bundle, bundle.json: what the graph computes, for which prompt, from which files."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import BundleError
from .strict_json import read_json
from .typed_json import read_as

FORMAT_VERSION = 2
MANIFEST_FILE = "bundle.json"
GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
CONFORMANCE_FILE = "conformance.json"
PREFIX_KV_FILE = "prefix_kv.npz"

_MOST_BYTES = 1 << 20
# Prefix and suffix are run with every prompt. The released rerankers' have 39 tokens.
_MOST_PROMPT_TOKENS = 4096
# A size beyond this is not a model's, and Python would count with it for minutes.
_MOST_SIZE = 1 << 31
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True)
class Source:
    """Where the weights came from.

    Attributes:
        checkpoint: a hub id or a folder's name.
        revision: the hub's commit, where there is one.
    """

    checkpoint: str
    revision: str | None = None


@dataclass(frozen=True)
class ModelConfig:
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
    """How far a quantized graph's scores were from float32 on the calibration prompts when it was exported.

    Attributes:
        tau: Kendall's tau between the two orders of a query's candidates, the mean of all queries.
        mean_difference: mean absolute difference of the scores.
        largest_difference: largest absolute difference of the scores.
        queries: how many queries were compared.
        pairs: how many query-document pairs were compared.
        float_layers: the layers that stay in float16, counted from 0.
        methods: what else the export did to keep the order, "smoothing" or "down_proj in float".
        prefix_distance: how far the prefix's keys and values, run in float32, are from the graph's own, as a share of
            their norm.
    """

    tau: float
    mean_difference: float
    largest_difference: float
    queries: int
    pairs: int
    float_layers: list[int]
    methods: list[str] = field(default_factory=list)
    prefix_distance: float | None = None


@dataclass(frozen=True)
class Graph:
    """Which ONNX graph this is.

    Attributes:
        kind: "standard" (plain ONNX operators: input_ids, attention_mask -> logits), "fused" (ONNX Runtime's own
            operators; also takes the keys and values of a shared prefix) or "cuda" (the same, for NVIDIA GPUs).
        precision: how weights are stored: "fp32", "fp16", "int8" or "int4".
        file: the ONNX file.
        tolerance: how far scores may be from the conformance vectors', on any machine.
        difference: the largest difference from float32 that the export measured on the conformance prompts.
        fidelity: what the export of int8 and int4 measured on the calibration prompts.
    """

    kind: str
    precision: str
    file: str
    tolerance: float
    difference: float
    fidelity: Fidelity | None = None


@dataclass(frozen=True)
class Prompt:
    """The words around every pair.

    Attributes:
        task: the instruction.
        prefix: the text before every pair.
        suffix: the text after every pair.
        prefix_ids: token ids of the prefix.
        suffix_ids: token ids of the suffix.
    """

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
    config: ModelConfig
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
        """The manifest as the text of bundle.json, sealed."""
        content = asdict(self)
        return json.dumps({**content, "seal": seal_of(content)}, indent=2, ensure_ascii=False) + "\n"


def seal_of(content: dict[str, Any]) -> str:
    """Hex sha256 of a manifest's content without its seal, as canonical JSON: keys sorted, no spaces, ASCII."""
    unsealed = {name: value for name, value in content.items() if name != "seal"}
    canonical = json.dumps(unsealed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def read_manifest(file: Path) -> Manifest:
    """Read and check bundle.json.

    Raises:
        BundleError: it is damaged, altered, or of another format.
    """
    try:
        content = read_json(file, _MOST_BYTES)
        version = content["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{file} is not a manifest ({_said(error)}); export the bundle again.") from error
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise BundleError(
            f"{file} has format version {version!r:.40}, and this aatm-onnx reads {FORMAT_VERSION};"
            " export the checkpoint again or install the matching aatm-onnx."
        )
    try:
        manifest: Manifest = read_as(Manifest, content)
        _check_values(manifest)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{file} is damaged: {error}; export or copy the bundle again.") from error
    if content.get("seal") != seal_of(content):
        raise BundleError(
            f"{file} was altered: its seal is not that of its content; export or copy the bundle again, and give"
            " another task or max_length to the reranker instead."
        )
    for needed in (manifest.graph.file, TOKENIZER_FILE, CONFORMANCE_FILE):
        if needed not in manifest.files:
            raise BundleError(f"{file} does not list {needed}; export the bundle again.")
    return manifest


def _said(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _check_values(manifest: Manifest) -> None:
    """Raise a ValueError where a value of the right type can't be meant."""
    for name in [manifest.graph.file, *manifest.files]:
        if not _PLAIN_NAME.fullmatch(name):
            raise ValueError(f"it names the file {name[:80]!r}, and files of a bundle have plain names")
    for size in fields(ModelConfig):
        if not 0 <= getattr(manifest.config, size.name) <= _MOST_SIZE:
            raise ValueError(f"its config.{size.name} is {getattr(manifest.config, size.name)}")
    if not (manifest.graph.tolerance >= 0 and manifest.graph.difference >= 0):
        raise ValueError("its graph.tolerance or graph.difference is negative")
    check_prompt(manifest.prompt, manifest.max_length)
    vocabulary, around = manifest.config.vocab_size, [*manifest.prompt.prefix_ids, *manifest.prompt.suffix_ids]
    for token in (*around, manifest.yes_token_id, manifest.no_token_id, manifest.pad_token_id):
        if not 0 <= token < vocabulary:
            raise ValueError(f"its vocabulary of {vocabulary} has no token {token}")


def check_prompt(prompt: Prompt, max_length: int) -> None:
    """Raise a ValueError where prompts would take too much memory, or no pair."""
    around = [*prompt.prefix_ids, *prompt.suffix_ids]
    if len(around) > _MOST_PROMPT_TOKENS:
        raise ValueError(f"its prompt's prefix and suffix have {len(around)} tokens, more than {_MOST_PROMPT_TOKENS}")
    if not len(around) < max_length:
        raise ValueError(f"its max_length is {max_length}, and prefix and suffix take {len(around)} tokens")
    if max_length > _MOST_SIZE:
        raise ValueError(f"its max_length is {max_length}, more than {_MOST_SIZE}")
