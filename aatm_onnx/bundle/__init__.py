"""Bundles: the folder, its manifest, and how both are read."""

from .bundle import Bundle, ConformanceVector, GraphFiles, describe_files, open_bundle, sha256_of
from .manifest import (
    CONFORMANCE_FILE,
    FORMAT_VERSION,
    GRAPH_FILE,
    MANIFEST_FILE,
    PREFIX_KV_FILE,
    TOKENIZER_FILE,
    Fidelity,
    FileEntry,
    Graph,
    Manifest,
    ModelConfig,
    Prompt,
    Source,
    check_prompt,
)

__all__ = [
    "CONFORMANCE_FILE",
    "FORMAT_VERSION",
    "GRAPH_FILE",
    "MANIFEST_FILE",
    "PREFIX_KV_FILE",
    "TOKENIZER_FILE",
    "Bundle",
    "ConformanceVector",
    "Fidelity",
    "FileEntry",
    "Graph",
    "GraphFiles",
    "Manifest",
    "ModelConfig",
    "Prompt",
    "Source",
    "check_prompt",
    "describe_files",
    "open_bundle",
    "sha256_of",
]
