"""A Qwen3 reranker checkpoint, checked as far as that goes without loading a weight."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from aatm_onnx.bundle import TOKENIZER_FILE, ModelConfig, Source
from aatm_onnx.bundle.strict_json import read_json
from aatm_onnx.errors import BundleError, ExportError
from aatm_onnx.models import with_home
from aatm_onnx.tokenizer import read_tokenizer

from . import hub
from .config import read_config, tensor_shapes, with_rope_in_one_place
from .safetensors import Tensor, read_tensors

_MOST_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """What is known of a checkpoint before its weights are read.

    Attributes:
        folder: where its files are.
        source: what the manifest says of it.
        raw_config: the contents of its config.json.
        config: the sizes in there.
        tensors: where each weight lies on disk, by its transformers name: those of `tensor_shapes(config)` alone.
        tokenizer: its tokenizer, with the control tokens.
        yes_token_id: the token of the answer "yes".
        no_token_id: the token of the answer "no".
        pad_token_id: the token that fills a batch.
    """

    folder: Path
    source: Source
    raw_config: Mapping[str, Any]
    config: ModelConfig
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer
    yes_token_id: int
    no_token_id: int
    pad_token_id: int


def open_checkpoint(name: str) -> Checkpoint:
    """Open a local folder or a hub id; from the hub, weights are fetched only once the rest has proved right.

    Raises:
        ExportError: it can't be had, is not a Qwen3 causal LM, has no usable tokenizer, has no single token for "yes"
            or "no", or its weights are missing, truncated or of other shapes than its config says.
    """
    local = with_home(name).is_dir()
    folder, revision = (with_home(name), None) if local else hub.download(name, hub.DESCRIPTION)
    raw_config = _read_config(folder, name)
    config = read_config(raw_config, name)
    tokenizer = _read_tokenizer(folder, name)
    _check_vocabulary(tokenizer, config, name)
    yes, no = (_single_token(tokenizer, word, name) for word in ("yes", "no"))
    pad = _pad_token(folder, raw_config, tokenizer, config)
    if not local:
        folder, _ = hub.download(name, hub.DESCRIPTION + hub.WEIGHTS, revision)
    shapes = tensor_shapes(config, bool(raw_config.get("attention_bias")))
    tensors = _tensors_of(shapes, read_tensors(folder), name)
    source = Source(folder.resolve().name if local else name, revision)
    return Checkpoint(folder, source, raw_config, config, tensors, tokenizer, yes, no, pad)


def parameter_count(checkpoint: Checkpoint) -> int:
    """Count the weights of a checkpoint."""
    return sum(math.prod(shape) for shape in tensor_shapes(checkpoint.config).values())


def _read_config(folder: Path, name: str) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        raise ExportError(f"{name} is not a checkpoint: it has no config.json.")
    try:
        return with_rope_in_one_place(read_json(folder / "config.json", _MOST_CONFIG_BYTES))
    except (OSError, ValueError, TypeError) as error:
        raise ExportError(f"{name}: its config.json can't be read ({error}).") from error


def _read_tokenizer(folder: Path, name: str) -> Tokenizer:
    file = folder / TOKENIZER_FILE
    if not file.is_file():
        raise ExportError(
            f"{name} has no {TOKENIZER_FILE}; make it with"
            " `transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`."
        )
    try:
        return read_tokenizer(file)
    except BundleError as error:
        raise ExportError(f"{name}: its {TOKENIZER_FILE} can't be read as a tokenizer; download it again.") from error


def _check_vocabulary(tokenizer: Tokenizer, config: ModelConfig, name: str) -> None:
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= config.vocab_size:
        raise ExportError(
            f"{name}: its tokenizer has token ids up to {largest}, but its model has only"
            f" {config.vocab_size} embeddings."
        )


def _single_token(tokenizer: Tokenizer, word: str, name: str) -> int:
    ids: list[int] = tokenizer.encode(word, add_special_tokens=False).ids
    if len(ids) != 1 or tokenizer.id_to_token(ids[0]) != word:
        raise ExportError(f'{name} can\'t rerank: its tokenizer has no single token for "{word}" (it gives {ids}).')
    return ids[0]


def _pad_token(folder: Path, raw_config: Mapping[str, Any], tokenizer: Tokenizer, config: ModelConfig) -> int:
    """The token that fills a batch; masked, so it never changes a score, and any id of the vocabulary would do."""
    try:
        token = read_json(folder / "tokenizer_config.json", _MOST_CONFIG_BYTES)["pad_token"]
        token = token["content"] if isinstance(token, dict) else token  # an AddedToken, as older tokenizers save it
        token_id = tokenizer.token_to_id(token)
    except (OSError, ValueError, KeyError, TypeError):
        token_id = None
    for known in (token_id, raw_config.get("pad_token_id")):
        if isinstance(known, int) and not isinstance(known, bool) and 0 <= known < config.vocab_size:
            return known
    return 0


def _tensors_of(shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors that the model has, of the shapes that it takes; others in the files are left alone.

    Without this, transformers would fill what is missing with random numbers and go on.
    """
    for tensor, shape in shapes.items():
        if tensor not in tensors:
            raise ExportError(f"{name}: its weights lack {tensor}; download the checkpoint again.")
        if tensors[tensor].shape != shape:
            found = list(tensors[tensor].shape)
            raise ExportError(f"{name}: {tensor} has shape {found} where its config.json means {list(shape)}.")
    return {tensor: tensors[tensor] for tensor in shapes}
