"""A bundle in the making: what is known of it before its graph is written and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aatm_onnx.bundle import GRAPH_FILE, PREFIX_KV_FILE, TOKENIZER_FILE, Graph, Manifest, Prompt, describe_files
from aatm_onnx.prompt import PromptTokenizer
from aatm_onnx.runtime.session import Session, open_session
from aatm_onnx.tokenizer import read_tokenizer

from .checkpoint import Checkpoint


@dataclass(frozen=True)
class Draft:
    """What a bundle will be.

    Attributes:
        folder: where its files are written.
        checkpoint: the model.
        kind: the kind of graph.
        precision: how weights are stored.
        prompt: the words around every pair.
        max_length: the most tokens of a prompt.
        command: the command line that makes it.
    """

    folder: Path
    checkpoint: Checkpoint
    kind: str
    precision: str
    prompt: Prompt
    max_length: int
    command: str

    @property
    def graph_path(self) -> Path:
        """The ONNX file."""
        return self.folder / GRAPH_FILE

    @property
    def prefix_kv_path(self) -> Path | None:
        """Keys and values of the tokens that all prompts begin with, once they are written."""
        file = self.folder / PREFIX_KV_FILE
        return file if file.is_file() else None

    @cached_property
    def tokenizer(self) -> PromptTokenizer:
        """Makes the bundle's prompts. Control tokens inside a pair are text, as they are for a reranker."""
        text_tokenizer = read_tokenizer(self.checkpoint.folder / TOKENIZER_FILE, control_tokens=False)
        return PromptTokenizer(text_tokenizer, self.prompt.prefix_ids, self.prompt.suffix_ids, self.max_length)

    def session(self) -> Session:
        """Open the graph that is in the folder now, on the CPU."""
        return open_session(self, "cpu")

    def manifest(self, graph: Graph, tools: Mapping[str, str]) -> Manifest:
        """The manifest of the finished bundle, its files hashed.

        Args:
            graph: what was measured.
            tools: name and version of what made the bundle.
        """
        checkpoint = self.checkpoint
        return Manifest(
            source=checkpoint.source,
            config=checkpoint.config,
            graph=graph,
            prompt=self.prompt,
            yes_token_id=checkpoint.yes_token_id,
            no_token_id=checkpoint.no_token_id,
            pad_token_id=checkpoint.pad_token_id,
            max_length=self.max_length,
            files=describe_files(self.folder),
            tools=dict(tools),
        )
