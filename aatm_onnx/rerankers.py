"""The rerankers: retriever results in, the same object out, scored and reordered in place."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from . import prompt as prompts
from .bundle import open_bundle
from .locate import Qwen3RerankerModels, find_bundle
from .pipeline import PipelineBaseClass
from .results import RankedDocument, check_retriever_results, check_text, descending, read_texts, write_scores
from .scoring import TOKEN_BUDGETS, score_prompts
from .session import Provider, open_session


class BaseReranker(PipelineBaseClass, ABC):
    """A pipeline step that reorders retriever results: subclasses say how in `rerank`, as in aatm."""

    @abstractmethod
    def rerank(self, retriever_results: Any) -> Any:
        """Return the same object, its candidates scored and reordered."""

    def __call__(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Check the input's type and rerank it: what `results | reranker` calls.

        Raises:
            InputTypeError: (an AssertionError, as aatm documents, and a TypeError) the input is not retriever results.
        """
        check_retriever_results(input)
        return self.rerank(input)


class ScoringReranker(BaseReranker):
    """A reranker that gives every document a score; checking, sorting and writing back are done here, once."""

    @abstractmethod
    def score_groups(self, queries: Sequence[str], documents: Sequence[Sequence[str]]) -> list[list[float]]:
        """Score `documents[i]` against `queries[i]`; larger is better. The texts are checked already."""

    def score(self, query: str, documents: Iterable[str]) -> list[float]:
        """Score documents against one query.

        Returns:
            One score per document, in the order given; larger is better.

        Raises:
            ValueError: a text is no string; the message says which.
        """
        texts = _checked_documents(documents)
        return self.score_groups([check_text(query, "The query")], [texts])[0]

    def rank(self, query: str, documents: Iterable[str], top_k: int | None = None) -> list[RankedDocument]:
        """Order documents by their score against one query, best first; equal scores keep the order given.

        Args:
            query: the text to match.
            documents: the texts to order.
            top_k: return only this many of the best; None returns all.

        Returns:
            (index, score, document) of each.

        Raises:
            ValueError: a text is no string, or `top_k` is less than 1.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}; None returns all.")
        return self.rank_groups([check_text(query, "The query")], [_checked_documents(documents)])[0][:top_k]

    def rank_groups(self, queries: Sequence[str], documents: Sequence[Sequence[str]]) -> list[list[RankedDocument]]:
        """Like `rank` for many queries at once, which fills batches better: `documents[i]` against `queries[i]`.

        Raises:
            ValueError: a text is no string, or there are more queries than lists of documents, or fewer.
        """
        if len(queries) != len(documents):
            raise ValueError(f"There are {len(queries)} queries but {len(documents)} lists of documents.")
        checked = [check_text(query, f"Query {index}") for index, query in enumerate(queries)]
        texts = [_checked_documents(group, f" of query {index}") for index, group in enumerate(documents)]
        return [
            [RankedDocument(index, scores[index], group[index]) for index in descending(scores)]
            for group, scores in zip(texts, self.score_groups(checked, texts), strict=True)
        ]

    def rerank(self, retriever_results: Any) -> Any:
        """Set every candidate's `rerank_score` and sort each query's candidates by it, best first, in place.

        Args:
            retriever_results: anything with `queries` and `results` whose items have `expression` and `rerank_score`:
                this package's RetrieverResults, aatm's, or your own.

        Returns:
            The same object. Equal scores keep the retriever's order.

        Raises:
            InputTypeError: the object is not of that kind.
            ValueError: a text is missing, or there are more queries than lists of results, or fewer.
                Whatever is raised, the object is as it was.
        """
        queries, documents = read_texts(retriever_results)
        write_scores(retriever_results, self.score_groups(queries, documents))
        return retriever_results


class BM25Reranker(ScoringReranker):
    """Lexical scores: BM25Okapi over each query's own candidates, words split on single spaces.

    The scores are exactly those of `aatm.rerankers.BM25Reranker` (aatm 0.1.7); case counts, as it does there.
    """

    def score_groups(self, queries: Sequence[str], documents: Sequence[Sequence[str]]) -> list[list[float]]:
        """BM25 scores, unbounded; 0 where no word is shared."""
        return [self._score_group(query, texts) for query, texts in zip(queries, documents, strict=True)]

    @staticmethod
    def _score_group(query: str, texts: Sequence[str]) -> list[float]:
        if not texts:  # rank-bm25 divides by the corpus size
            return []
        scores: list[float] = BM25Okapi([text.split(" ") for text in texts]).get_scores(query.split(" ")).tolist()
        return scores


class Qwen3Reranker(ScoringReranker):
    """Neural scores: the probability that a Qwen3 reranker answers "yes" for a query and a document.

    Same prompt and same scores as `aatm.rerankers.Qwen3Reranker` (aatm 0.1.7), from an ONNX bundle, without PyTorch.

    Attributes:
        model_id: the model's name, or its bundle's path, or None for the default model.
        provider: the execution provider that runs it, "cpu" or "cuda".
        max_length, task, prefix, suffix: as given, or as the bundle's manifest says.
    """

    def __init__(
        self,
        model_id: "str | os.PathLike[str] | Qwen3RerankerModels | None" = None,
        max_length: int | None = None,
        task: str | None = None,
        prefix: str | None = None,
        suffix: str | None = None,
        *,
        provider: Provider = "auto",
        threads: int | None = None,
        token_budget: int | None = None,
        keep_memory: bool = True,
        allow_special_tokens: bool = False,
    ) -> None:
        """Open a bundle and its session.

        Args:
            model_id: a Qwen3RerankerModels name, the path of a bundle, or None for the model that the package carries.
            max_length: the most tokens of a whole prompt; what is over is cut from the document's end. None takes the
                bundle's (8192, as in aatm, unless its export said otherwise).
            task: the instruction; None takes the bundle's.
            prefix, suffix: the text around every pair; None takes the bundle's.
            provider: "cpu", "cuda", or "auto": CUDA where ONNX Runtime really can use it.
            threads: threads that compute on the CPU; None lets every CPU that this process may use work.
            token_budget: the most tokens of a batch, of which two run at a time on the CPU; memory grows with it. None
                takes what suits the provider.
            keep_memory: keep the memory of one batch for the next; False lets it shrink after every batch on the CPU,
                which is worth it after large token budgets, and takes more at the usual one.
            allow_special_tokens: read `<|im_end|>`, `<think>` and their like inside a query or document as control
                tokens, as aatm does. By default they are text.

        Raises:
            BundleError: there is no such bundle, or it is damaged.
            ImportError: ONNX Runtime is not installed.
            ProviderError: CUDA was asked for and can't be used.
            ValueError: `max_length` leaves no room between prefix and suffix, or `token_budget` is less than 1.
        """
        if token_budget is not None and token_budget < 1:
            raise ValueError(f"token_budget must be at least 1, not {token_budget}.")
        bundle = open_bundle(find_bundle(model_id))
        manifest = bundle.manifest
        self.model_id = model_id.value if isinstance(model_id, Qwen3RerankerModels) else model_id
        self.bundle = bundle
        self.max_length = manifest.max_length if max_length is None else max_length
        self.task = manifest.prompt.task if task is None else check_text(task, "The task")
        self.prefix = manifest.prompt.prefix if prefix is None else check_text(prefix, "The prefix")
        self.suffix = manifest.prompt.suffix if suffix is None else check_text(suffix, "The suffix")
        self._prompts = prompts.prompt_tokenizer(
            bundle, self.prefix, self.suffix, self.max_length, allow_special_tokens=allow_special_tokens
        )
        self._session = open_session(bundle, provider, threads, keep_memory=keep_memory)
        self.provider = self._session.provider
        self.token_budget = token_budget or TOKEN_BUDGETS[self.provider]

    def format_instruction(self, instruction: str, query: str, doc: str) -> str:
        """The text between prefix and suffix for one pair."""
        return prompts.format_instruction(instruction, query, doc)

    def process_inputs(self, pairs: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """Tokenize formatted pairs, put prefix and suffix around them, and pad on the left.

        Returns:
            `input_ids` and `attention_mask`, both of shape (batch, seq), int64.
        """
        checked = [check_text(pair, f"Pair {index}") for index, pair in enumerate(pairs)]
        input_ids, attention_mask = prompts.left_pad(list(self._prompts.encode(checked)), self._pad_token_id)
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def compute_logits(self, inputs: Mapping[str, NDArray[np.integer[Any]]], **kwargs: Any) -> list[float]:
        """Score what `process_inputs` returned.

        Args:
            inputs: `input_ids` and `attention_mask`, both of shape (batch, seq).
            **kwargs: ignored, as in aatm.

        Returns:
            The probability of "yes" for each row (aatm's name for it notwithstanding, not a logit).

        Raises:
            ValueError: the arrays have other shapes, or ids that the model does not know.
        """
        ids, mask = np.asarray(inputs["input_ids"]), np.asarray(inputs["attention_mask"]).astype(bool)
        if ids.ndim != 2 or ids.shape != mask.shape:
            raise ValueError(f"input_ids and attention_mask must be (batch, seq), not {ids.shape} and {mask.shape}.")
        if not (np.issubdtype(ids.dtype, np.integer) and mask.any(axis=1).all()):
            raise ValueError("input_ids must be integers, and attention_mask must leave every row a token.")
        vocabulary = self.bundle.manifest.architecture.vocab_size
        if (unknown := ids[mask & ((ids < 0) | (ids >= vocabulary))]).size:
            raise ValueError(f"input_ids must be from 0 to {vocabulary - 1}, and {unknown[0]} is not.")
        return self._score([row[real].astype(np.int32) for row, real in zip(ids, mask, strict=True)])

    def score_groups(self, queries: Sequence[str], documents: Sequence[Sequence[str]]) -> list[list[float]]:
        """Probabilities of "yes", in (0, 1)."""
        scores = iter(self._score(self._token_ids(queries, documents)))
        return [[next(scores) for _ in group] for group in documents]

    def _token_ids(self, queries: Sequence[str], documents: Sequence[Sequence[str]]) -> list[prompts.TokenIds]:
        """The prompts of all pairs, query after query, (seq,) each; their texts are gone before these are run."""
        pairs = [
            prompts.format_instruction(self.task, query, document)
            for query, group in zip(queries, documents, strict=True)
            for document in group
        ]
        return list(self._prompts.encode(pairs))

    @property
    def _pad_token_id(self) -> int:
        return self.bundle.manifest.pad_token_id

    def _score(self, token_ids: Sequence[prompts.TokenIds]) -> list[float]:
        return score_prompts(self._session, token_ids, self._pad_token_id, self.token_budget)


def _checked_documents(documents: Iterable[str], where: str = "") -> list[str]:
    if isinstance(documents, str):
        raise ValueError(f"The documents{where} must be a list of strings, not one string.")
    return [check_text(document, f"Document {index}{where}") for index, document in enumerate(documents)]
