"""The rerankers: a query and documents in, scores or a ranking out."""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import prompt as prompts
from .bundle import Bundle, open_bundle
from .errors import ScoreError, TooLongError
from .models import DEFAULT_MODEL, ModelName, Qwen3RerankerModels, find_bundle, hub_id
from .pipeline import BaseReranker, BatchMethods, read_texts, write_scores
from .ranking import PairScore, RankedDocument, check_documents, check_text, ranking_of
from .runtime.plan import REMEMBERED_TOKENS
from .runtime.providers import Provider
from .runtime.scorer import Scorer
from .runtime.scoring import probability_of_yes
from .runtime.session import open_session

Tasks = str | Sequence[str | None] | None

# `rank_stream` scores so many queries, or pairs, together: enough to fill batches, few enough that results come soon.
_STREAM_QUERIES = 16
_STREAM_PAIRS = 1024


class Reranker(BaseReranker):
    """Gives every document a score; checking, sorting and writing back are done here, once.

    A reranker may be shared between threads, and used in a `with` statement, which closes it.
    """

    @abstractmethod
    def _score_pairs(
        self, queries: Sequence[str], documents: Sequence[Sequence[str]], tasks: Sequence[str | None], truncate: bool
    ) -> list[list[PairScore]]:
        """Score `documents[i]` against `queries[i]`. The arguments are checked already."""

    def score_pairs(
        self,
        queries: Sequence[str],
        documents: Sequence[Sequence[str]],
        *,
        task: Tasks = None,
        truncate: bool = True,
    ) -> list[list[PairScore]]:
        """Score many queries at once, which fills batches better than one after the other.

        Args:
            queries: the texts to match.
            documents: `documents[i]` are scored against `queries[i]`.
            task: the instruction, one for all queries or one for each; None takes the reranker's own.
            truncate: cut a pair that is too long for the model. False refuses it.

        Returns:
            For every query one PairScore per document, in the order given.

        Raises:
            ValueError: a text is not a string, or there are more queries than lists of documents, or fewer.
            TooLongError: (a ValueError) a pair is too long and `truncate` is False.
            ScoreError: the model gave a score that is not a finite number.
        """
        if len(queries) != len(documents):
            raise ValueError(f"There are {len(queries)} queries but {len(documents)} lists of documents.")
        checked = [check_text(query, f"Query {index}") for index, query in enumerate(queries)]
        texts = [check_documents(group, f" of query {index}") for index, group in enumerate(documents)]
        return self._score_pairs(checked, texts, _checked_tasks(task, len(queries)), truncate)

    def score(
        self, query: str, documents: Iterable[str], *, task: str | None = None, truncate: bool = True
    ) -> list[float]:
        """Score documents against one query.

        Args:
            query: the text to match.
            documents: the texts to score.
            task: the instruction; None takes the reranker's own.
            truncate: cut a pair that is too long for the model. False refuses it.

        Returns:
            One score per document, in the order given; larger is better.

        Raises:
            ValueError: a text is not a string; the message says which. Further errors as `score_pairs`.

        Example:
            >>> Qwen3Reranker().score("high blood pressure", ["Hypertension"])[0] > 0.01
            True
        """
        return [pair.score for pair in self._score_one(query, check_documents(documents), task, truncate)]

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        *,
        task: str | None = None,
        truncate: bool = True,
    ) -> list[RankedDocument]:
        """Order documents by their score against one query, best first; equal scores keep the order given.

        Args:
            query: the text to match.
            documents: the texts to order.
            top_k: return only this many of the best; None returns all.
            task: the instruction; None takes the reranker's own.
            truncate: cut a pair that is too long for the model. False refuses it.

        Returns:
            (index, score, document) of each, with `tokens` and `truncated` as further attributes.

        Raises:
            ValueError: a text is not a string, or `top_k` is less than 1. Further errors as `score_pairs`.

        Example:
            >>> Qwen3Reranker().rank("kidney stones", ["Gallstones", "Nephrolithiasis"])[0].document
            'Nephrolithiasis'
        """
        _check_top_k(top_k)
        texts = check_documents(documents)
        return ranking_of(texts, self._score_one(query, texts, task, truncate))[:top_k]

    def rank_many(
        self,
        queries: Sequence[str],
        documents: Sequence[Sequence[str]],
        top_k: int | None = None,
        *,
        task: Tasks = None,
        truncate: bool = True,
    ) -> list[list[RankedDocument]]:
        """Like `rank` for many queries at once, which fills batches better: `documents[i]` against `queries[i]`.

        Arguments and errors as `score_pairs`; `top_k` as in `rank`.
        """
        _check_top_k(top_k)
        texts = [list(group) if not isinstance(group, str) else group for group in documents]
        scored = self.score_pairs(queries, texts, task=task, truncate=truncate)
        return [ranking_of(group, pairs)[:top_k] for group, pairs in zip(texts, scored, strict=True)]

    def rank_stream(
        self,
        items: Iterable[tuple[str, Sequence[str]]],
        top_k: int | None = None,
        *,
        task: str | None = None,
        truncate: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[list[RankedDocument]]:
        """Rank queries as they come, for work that does not fit memory.

        Args:
            items: (query, documents) of each; taken as needed, a few queries ahead.
            top_k: as in `rank`.
            task: the instruction; None takes the reranker's own.
            truncate: cut a pair that is too long for the model. False refuses it.
            progress: called with the number of queries ranked so far.

        Yields:
            Each query's ranking, in the order of the queries.

        Raises:
            ValueError: as `rank_many`, with the query's place counted from the stream's start.
        """
        _check_top_k(top_k)
        done = 0
        for chunk in _chunks(items):
            queries = [check_text(query, f"Query {done + row}") for row, (query, _) in enumerate(chunk)]
            texts = [check_documents(group, f" of query {done + row}") for row, (_, group) in enumerate(chunk)]
            for ranking in self.rank_many(queries, texts, top_k, task=task, truncate=truncate):
                done += 1
                yield ranking
            if progress is not None:
                progress(done)

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
        scored = self._score_pairs(queries, documents, [None] * len(queries), True)
        write_scores(retriever_results, [[pair.score for pair in pairs] for pairs in scored])
        return retriever_results

    def close(self) -> None:  # nothing to give back, unless a subclass holds something
        """Give back what the reranker holds; it can't be used any more."""

    def __enter__(self) -> Self:
        """Return the reranker itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _score_one(self, query: str, texts: list[str], task: str | None, truncate: bool) -> list[PairScore]:
        return self._score_pairs([check_text(query, "The query")], [texts], _checked_tasks(task, 1), truncate)[0]


class BM25Reranker(Reranker):
    """Lexical scores: BM25Okapi over each query's own candidates, words split on single spaces.

    The scores are exactly those of `aatm.rerankers.BM25Reranker` (aatm 0.1.7); case counts, as it does there. A task
    changes nothing, and nothing is ever too long.
    """

    def _score_pairs(
        self, queries: Sequence[str], documents: Sequence[Sequence[str]], tasks: Sequence[str | None], truncate: bool
    ) -> list[list[PairScore]]:
        return [_bm25(query, texts) for query, texts in zip(queries, documents, strict=True)]

    def __repr__(self) -> str:
        """Its name."""
        return "BM25Reranker()"


def _bm25(query: str, texts: Sequence[str]) -> list[PairScore]:
    """BM25 scores, unbounded; 0 where no word is shared."""
    from rank_bm25 import BM25Okapi  # it imports multiprocessing, which the neural reranker need not wait for

    if not texts:  # rank-bm25 divides by the corpus size
        return []
    scores = BM25Okapi([text.split(" ") for text in texts]).get_scores(query.split(" "))
    return [PairScore(score) for score in scores.tolist()]


class Qwen3Reranker(Reranker, BatchMethods):
    """Neural scores: the probability that a Qwen3 reranker answers "yes" for a query and a document.

    Same prompt and same scores as `aatm.rerankers.Qwen3Reranker` (aatm 0.1.7), from an ONNX bundle, without PyTorch.

    It may be shared between threads: calls that wait are run together. Pickled, it is opened again from its bundle and
    options. In a forked child it opens a session of its own with its first call.

    Attributes:
        model_id: the model as it was named: a short name, a hub id, a bundle's path, or None for the default model.
        bundle: the opened bundle.
        provider: the execution provider that runs it, "cpu" or "cuda".
        token_budget: the most tokens of a batch.
        max_length: the most tokens of a prompt.
        task: the instruction of calls that give none.
        prefix: the text before every pair.
        suffix: the text after every pair.
    """

    def __init__(
        self,
        model_id: ModelName = None,
        max_length: int | None = None,
        task: str | None = None,
        prefix: str | None = None,
        suffix: str | None = None,
        *,
        provider: Provider = "auto",
        threads: int | None = None,
        token_budget: int | None = None,
        keep_memory: bool = True,
        cached_tokens: int = REMEMBERED_TOKENS,
        allow_special_tokens: bool = False,
    ) -> None:
        """Open a bundle and its session.

        Args:
            model_id: a short name ("qwen3-reranker-0.6b"), a hub id ("Qwen/Qwen3-Reranker-0.6B"), the path of a bundle,
                or None for the model that the package carries.
            max_length: the most tokens of a whole prompt; what is over is cut from the document's end. None takes the
                bundle's (8192, as in aatm, unless its export said otherwise).
            task: the instruction; None takes the bundle's.
            prefix: the text before every pair; None takes the bundle's.
            suffix: the text after every pair; None takes the bundle's.
            provider: "cpu", "cuda", or "auto": CUDA where ONNX Runtime really can use it.
            threads: threads that compute on the CPU; None lets every CPU that this process may use work.
            token_budget: the most tokens of a batch, of which two run at a time on the CPU; memory grows with it. None
                takes what suits the provider.
            keep_memory: keep the memory of one batch for the next. False lets it shrink after every batch on the CPU,
                which pays after large token budgets and takes more memory at the usual one.
            cached_tokens: how many tokens of shared prefixes to keep between calls.
            allow_special_tokens: read `<|im_end|>`, `<think>` and their like inside a query or document as control
                tokens, as aatm does. By default they are text.

        Raises:
            BundleError: there is no such bundle, or it is damaged.
            ImportError: ONNX Runtime is not installed.
            ProviderError: CUDA was asked for and can't be used.
            ValueError: `max_length` leaves no room between prefix and suffix, or `token_budget` is less than 1.
        """
        self._options: dict[str, Any] = {
            "model_id": model_id,
            "max_length": max_length,
            "task": task,
            "prefix": prefix,
            "suffix": suffix,
            "provider": provider,
            "threads": threads,
            "token_budget": token_budget,
            "keep_memory": keep_memory,
            "cached_tokens": cached_tokens,
            "allow_special_tokens": allow_special_tokens,
        }
        if token_budget is not None and token_budget < 1:
            raise ValueError(f"token_budget must be at least 1, not {token_budget}.")
        self.model_id = model_id.value if isinstance(model_id, Qwen3RerankerModels) else model_id
        self.bundle = bundle = open_bundle(find_bundle(model_id))
        manifest = bundle.manifest
        self.max_length = manifest.max_length if max_length is None else max_length
        self.task = manifest.prompt.task if task is None else check_text(task, "The task")
        self.prefix = manifest.prompt.prefix if prefix is None else check_text(prefix, "The prefix")
        self.suffix = manifest.prompt.suffix if suffix is None else check_text(suffix, "The suffix")
        self._prompts = prompts.prompt_tokenizer(
            bundle, self.prefix, self.suffix, self.max_length, allow_special_tokens=allow_special_tokens
        )
        self._scorer: Scorer | None = self._open()
        self.provider = self._scorer.session.provider
        self.token_budget = self._scorer.token_budget

    def _open(self) -> Scorer:
        options = self._options
        session = open_session(self.bundle, options["provider"], options["threads"], keep_memory=options["keep_memory"])
        self._process = os.getpid()
        return Scorer(session, self.bundle.manifest.pad_token_id, options["token_budget"], options["cached_tokens"])

    def _score_pairs(
        self, queries: Sequence[str], documents: Sequence[Sequence[str]], tasks: Sequence[str | None], truncate: bool
    ) -> list[list[PairScore]]:
        encoded = self._encode_pairs(queries, documents, tasks)
        if not truncate:
            _refuse_cut(encoded, documents, self.max_length)
        logits = self._logits([prompt.ids for prompt in encoded])
        _check_finite(logits, documents, self.bundle, self.provider)
        scores, differences = probability_of_yes(logits).tolist(), (logits[:, 1] - logits[:, 0]).tolist()
        pairs = (
            PairScore(score, logit, len(prompt.ids), prompt.truncated)
            for score, logit, prompt in zip(scores, differences, encoded, strict=True)
        )
        return [[next(pairs) for _ in group] for group in documents]

    def _encode_pairs(
        self, queries: Sequence[str], documents: Sequence[Sequence[str]], tasks: Sequence[str | None]
    ) -> list[prompts.EncodedPrompt]:
        """The prompts of all pairs, query after query; their texts are gone before these are run."""
        pairs = [
            prompts.format_instruction(self.task if task is None else task, query, document)
            for query, group, task in zip(queries, documents, tasks, strict=True)
            for document in group
        ]
        return list(self._prompts.encode(pairs))

    def _encode(self, pairs: Sequence[str]) -> list[prompts.TokenIds]:
        return [prompt.ids for prompt in self._prompts.encode(pairs)]

    def _logits(self, token_ids: Sequence[prompts.TokenIds]) -> NDArray[np.float32]:
        if self._scorer is None:
            raise ValueError(f"{self!r} is closed; open another one.")
        if self._process != os.getpid():  # a forked child has neither the session's threads nor its locks' owners
            self._scorer = self._open()
        return self._scorer.logits(token_ids)

    def close(self) -> None:
        """Give back the session's memory; scoring raises a ValueError from now on."""
        self._scorer = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the bundle's place and the options; the session is opened again where it is unpickled."""
        named = self.model_id is None or self.model_id == DEFAULT_MODEL or hub_id(self.model_id) is not None
        model = self.model_id if named else str(self.bundle.path.resolve())
        return _reopen, (type(self), {**self._options, "model_id": model})

    def __repr__(self) -> str:
        """Model, precision, provider, threads."""
        graph = self.bundle.manifest.graph
        model = "default" if self.model_id is None else os.fspath(self.model_id)
        state = f"threads={self._scorer.session.threads}" if self._scorer else "closed"
        return f"{type(self).__name__}({model!r}, {graph.kind} {graph.precision}, provider={self.provider!r}, {state})"


def _reopen(kind: type[Qwen3Reranker], options: dict[str, Any]) -> Qwen3Reranker:
    return kind(**options)


def _check_top_k(top_k: int | None) -> None:
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}; None returns all.")


def _checked_tasks(task: Tasks, queries: int) -> list[str | None]:
    if task is None or isinstance(task, str):
        return [task if task is None else check_text(task, "The task")] * queries
    if len(task) != queries:
        raise ValueError(f"There are {queries} queries but {len(task)} tasks; give one task, or one for each query.")
    return [each if each is None else check_text(each, f"Task {index}") for index, each in enumerate(task)]


def _chunks(items: Iterable[tuple[str, Sequence[str]]]) -> Iterator[list[tuple[str, Sequence[str]]]]:
    """Items in lists that grow from one query, so that the first ranking comes at once."""
    chunk: list[tuple[str, Sequence[str]]] = []
    most, pairs = 1, 0
    for item in items:
        chunk.append(item)
        pairs += len(item[1])
        if len(chunk) == most or pairs >= _STREAM_PAIRS:
            yield chunk
            chunk, pairs = [], 0
            most = min(2 * most, _STREAM_QUERIES)
    if chunk:
        yield chunk


def _place(documents: Sequence[Sequence[str]], pair: int) -> str:
    """What to call a pair, counted through all queries."""
    for query, group in enumerate(documents):
        if pair < len(group):
            return f"Document {pair} of query {query}"
        pair -= len(group)
    raise IndexError(pair)


def _refuse_cut(encoded: Sequence[prompts.EncodedPrompt], documents: Sequence[Sequence[str]], max_length: int) -> None:
    for index, prompt in enumerate(encoded):
        if prompt.truncated:
            raise TooLongError(
                f"{_place(documents, index)} does not fit {max_length} tokens with its query; shorten it, raise"
                " max_length, or allow it to be cut (truncate=True)."
            )


def _check_finite(
    logits: NDArray[np.float32], documents: Sequence[Sequence[str]], bundle: Bundle, provider: str
) -> None:
    wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(wrong):
        raise ScoreError(
            f"{_place(documents, int(wrong[0]))} has a score that is not a number, from {bundle.path} on {provider}; run"
            f" `aatm-onnx verify {bundle.path}`, and export the bundle again if it fails."
        )
