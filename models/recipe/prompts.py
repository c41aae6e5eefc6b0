"""Prompts as a reranker makes them."""

import tempfile
from pathlib import Path

from tokenizers import Tokenizer

from aatm_onnx.prompt import DEFAULT_PREFIX, DEFAULT_SUFFIX, DEFAULT_TASK, PromptTokenizer, format_instruction
from aatm_onnx.tokenizer import read_tokenizer, token_ids
from recipe.tokenizer import save_tokenizer

MOST_TOKENS = 1024


def prompt_ids(tokenizer: Tokenizer, pairs: list[tuple[str, str]]) -> list[list[int]]:
    """Token ids of the prompt for each query and document."""
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(tokenizer, Path(folder))
        file = Path(folder) / "tokenizer.json"
        whole, as_text = read_tokenizer(file), read_tokenizer(file, control_tokens=False)
    prefix, suffix = token_ids(whole, [DEFAULT_PREFIX, DEFAULT_SUFFIX], add_special_tokens=False)
    texts = [format_instruction(DEFAULT_TASK, query, document) for query, document in pairs]
    return [prompt.ids.tolist() for prompt in PromptTokenizer(as_text, prefix, suffix, MOST_TOKENS).encode(texts)]
