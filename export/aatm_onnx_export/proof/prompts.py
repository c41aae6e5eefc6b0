"""The prompts that a bundle is proved and measured on, and what all its prompts begin with."""

import numpy as np

from aatm_onnx.prompt import PromptTokenizer, TokenIds, format_instruction

from .texts import calibration_queries, conformance_pairs

# Queries that begin in many ways: what their prompts begin with, those of any query do.
_BEGINNINGS = ("a", "Zebra", "7", " x", "(", "\n", "é", "心", "")


def conformance_prompts(tokenizer: PromptTokenizer, task: str) -> list[TokenIds]:
    """Make the prompt of every conformance pair."""
    pairs = [format_instruction(task, query, document) for query, document in conformance_pairs()]
    return [prompt.ids for prompt in tokenizer.encode(pairs)]


def calibration_prompts(tokenizer: PromptTokenizer, task: str) -> tuple[list[TokenIds], list[int]]:
    """Make the prompt of every calibration pair, and say how many documents each query has."""
    queries = calibration_queries()
    pairs = [format_instruction(task, query, document) for query, documents in queries for document in documents]
    return [prompt.ids for prompt in tokenizer.encode(pairs)], [len(documents) for _, documents in queries]


def shared_prefix(tokenizer: PromptTokenizer, task: str) -> TokenIds:
    """The token ids that prompts begin with whatever the query: prefix, task and what stands before the query."""
    ids = [prompt.ids for prompt in tokenizer.encode([format_instruction(task, query, "") for query in _BEGINNINGS])]
    shortest = min(map(len, ids))
    same = (np.stack([each[:shortest] for each in ids]) == ids[0][:shortest]).all(axis=0)  # (shortest,)
    return ids[0][: int(np.cumprod(same).sum())]
