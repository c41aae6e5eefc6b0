"""The neural reranker: Qwen3, on ONNX Runtime. BM25 can be imported from here too, as both can from aatm.rerankers."""

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import prompt as prompts
from .bm25 import BM25Reranker
from .bundle import Bundle, open_bundle
from .errors import BundleError, ScoreError, TooLongError
from .models import DEFAULT_MODEL, ModelName, find_bundle, hub_id, plain_name
from .pipeline import BatchMethods
from .ranking import PairScore, check_count, check_text
from .reranker import Documents, Reranker
from .runtime.batches import LEAST_TOKENS
from .runtime.plan import REMEMBERED_TOKENS
from .runtime.providers import Provider
from .runtime.scorer import Scorer
from .runtime.scoring import probability_of_yes
from .runtime.session import open_session

__all__ = ["BM25Reranker", "Qwen3Reranker"]

# What these arguments are at least, where they are given.
_LEAST_COUNTS = {"threads": 1, "max_length": 1, "token_budget": LEAST_TOKENS, "cached_tokens": 0, "cached_scores": 0}


class Qwen3Reranker(Reranker, BatchMethods):
    """Neural scores: the probability that a Qwen3 reranker answers "yes" for a query and a document.

    Same prompt and same scores as `aatm.rerankers.Qwen3Reranker` (aatm 0.1.7), from an ONNX bundle, without PyTorch.

    It may be shared between threads: calls that wait are run together. Pickled, it is opened again from its bundle and
    options. In a forked child it opens a session of its own with its first call; a fork waits until no thread scores.
    Its attributes are read-only.

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
        cached_scores: int = 0,
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
            token_budget: the most tokens of a batch, at least 64; on the CPU as many run at a time as there are
                threads, 8 at most; memory grows with both. None takes what suits the provider.
            keep_memory: keep the memory of one batch for the next. False lets it shrink after every batch on the CPU,
                which pays after large token budgets and takes more memory at the usual one.
            cached_tokens: how many tokens of shared prefixes to keep between calls.
            cached_scores: how many pairs' scores to keep for calls that ask for them again, some 250 bytes each; those
                asked for last are kept. 0 keeps none.
            allow_special_tokens: read `<|im_end|>`, `<think>` and their like inside a query or document as control
                tokens, as aatm does. By default they are text.

        Raises:
            BundleError: there is no such bundle, or it is damaged.
            ImportError: ONNX Runtime is not installed.
            ProviderError: CUDA was asked for and can't be used.
            ValueError: `max_length` leaves no room for query and document, `model_id` is neither a name nor a path, or
                an argument is not a number that it can be.
        """
        self.model_id = model_id = plain_name(model_id)
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
            "cached_scores": cached_scores,
            "allow_special_tokens": allow_special_tokens,
        }
        for name, least in _LEAST_COUNTS.items():
            if self._options[name] is not None:
                check_count(self._options[name], name, least)
        self.bundle = bundle = open_bundle(find_bundle(model_id).absolute())  # a child may have another current folder
        if model_id not in (None, DEFAULT_MODEL) and not hub_id(model_id):
            self._options["model_id"] = str(bundle.path)  # found from any folder when it is opened again
        manifest = bundle.manifest
        self.max_length = manifest.max_length if max_length is None else max_length
        self.task = manifest.prompt.task if task is None else check_text(task, "The task")
        self.prefix = manifest.prompt.prefix if prefix is None else check_text(prefix, "The prefix")
        self.suffix = manifest.prompt.suffix if suffix is None else check_text(suffix, "The suffix")
        self._prompts = prompts.prompt_tokenizer(
            bundle, self.prefix, self.suffix, self.max_length, allow_special_tokens=allow_special_tokens
        )
        self._check_room(of_bundle=(max_length, task, prefix, suffix) == (None, None, None, None))
        self._opening: dict[int, threading.Lock] = {}
        self._scorer: Scorer | None = self._open()
        self._process = os.getpid()
        self.provider = self._scorer.session.provider
        self.token_budget = self._scorer.token_budget

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute; a public one only once: session, prompts and pickles were made with it."""
        if name in self.__dict__ and not name.startswith("_"):
            raise AttributeError(f"{name} of {self!r} can't be changed; open another one with it.")
        super().__setattr__(name, value)

    def _check_room(self, *, of_bundle: bool) -> None:
        """Raise a ValueError, or a BundleError if the prompt is all the bundle's, where a pair would have no room."""
        if self._prompts.fills_room(prompts.format_instruction(self.task, "", "")):
            said = f"max_length is {self.max_length}, which prefix, task and suffix take alone"
            if of_bundle:
                raise BundleError(f"{self.bundle.path}: its {said}; copy or export the bundle again.")
            raise ValueError(f"{said}; give more, so that query and document have room.")

    def _open(self) -> Scorer:
        options = self._options
        session = open_session(self.bundle, options["provider"], options["threads"], keep_memory=options["keep_memory"])
        return Scorer(
            session,
            self.bundle.manifest.pad_token_id,
            options["token_budget"],
            options["cached_tokens"],
            options["cached_scores"],
        )

    def _score_pairs(
        self, queries: Sequence[str], documents: Documents, tasks: Sequence[str | None], truncate: bool, first: int = 0
    ) -> list[list[PairScore]]:
        name = partial(_place, documents, first)
        encoded = self._encode_pairs(queries, documents, tasks, name)
        if not truncate:
            _refuse_cut(encoded, name, self.max_length)
        self._warn_of_lost_documents(queries, documents, tasks, encoded, first)
        logits = self._logits([prompt.ids for prompt in encoded])
        _check_finite(logits, name, self.bundle, self.provider)
        scores, differences = probability_of_yes(logits).tolist(), (logits[:, 1] - logits[:, 0]).tolist()
        pairs = (
            PairScore(score, logit, len(prompt.ids), prompt.truncated)
            for score, logit, prompt in zip(scores, differences, encoded, strict=True)
        )
        return [[next(pairs) for _ in group] for group in documents]

    def _encode_pairs(
        self, queries: Sequence[str], documents: Documents, tasks: Sequence[str | None], name: Callable[[int], str]
    ) -> list[prompts.EncodedPrompt]:
        """The prompts of all pairs, query after query. Few of their texts exist at a time, as each has its query."""
        pairs = (
            prompts.format_instruction(self.task if task is None else task, query, document)
            for query, group, task in zip(queries, documents, tasks, strict=True)
            for document in group
        )
        return list(self._prompts.encode(pairs, name))

    def _warn_of_lost_documents(
        self,
        queries: Sequence[str],
        documents: Documents,
        tasks: Sequence[str | None],
        encoded: Sequence[prompts.EncodedPrompt],
        first: int,
    ) -> None:
        """Warn of queries that leave no token for their documents, which then all have one score."""
        cut = iter(prompt.truncated for prompt in encoded)
        for index, (query, group, task) in enumerate(zip(queries, documents, tasks, strict=True), first):
            truncated = [next(cut) for _ in group]
            if all(truncated) and group:
                before = prompts.format_instruction(self.task if task is None else task, query, "").rstrip(" ")
                if self._prompts.fills_room(before):
                    warnings.warn(
                        f"Query {index} takes all of the {self.max_length} tokens, so nothing of its documents is left"
                        " and they get equal scores; shorten it, raise max_length, or refuse it with truncate=False.",
                        RuntimeWarning,
                        stacklevel=3,
                    )

    def _encode(self, pairs: Sequence[str]) -> list[prompts.TokenIds]:
        return [prompt.ids for prompt in self._prompts.encode(pairs)]

    def _logits(self, token_ids: Sequence[prompts.TokenIds]) -> NDArray[np.float32]:
        if self._process != os.getpid():
            self._open_in_child()
        if (scorer := self._scorer) is None:
            raise ValueError(f"{self!r} is closed; open another one.")
        return scorer.logits(token_ids)

    def _open_in_child(self) -> None:
        """Open a session once: a forked child has neither the threads of its parent's nor its locks' owners."""
        process = os.getpid()
        with self._opening.setdefault(process, threading.Lock()):  # a lock of the parent's may never be released here
            if self._scorer is not None and self._process != process:
                if open_bundle(self.bundle.path).manifest != self.bundle.manifest:
                    raise BundleError(
                        f"{self.bundle.path} was replaced since the parent process opened it; open another reranker."
                    )
                self._scorer = self._open()
                self._process = process  # last, for threads that look without the lock

    def close(self) -> None:
        """Give back the session's memory; scoring raises a ValueError from now on."""
        self._scorer = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the bundle's place and the options; the session is opened again where it is unpickled."""
        return partial(type(self), **self._options), ()

    def __repr__(self) -> str:
        """Model, precision, provider, threads."""
        if not hasattr(self, "provider"):  # a debugger looks at one that couldn't be opened
            return f"{type(self).__name__}(not open)"
        graph = self.bundle.manifest.graph
        model = "default" if self.model_id is None else os.fspath(self.model_id)
        state = f"threads={self._scorer.session.threads}" if self._scorer else "closed"
        return f"{type(self).__name__}({model!r}, {graph.kind} {graph.precision}, provider={self.provider!r}, {state})"


def _place(documents: Documents, first: int, pair: int) -> str:
    """What to call a pair, counted through all queries, of which the first has this number."""
    for query, group in enumerate(documents, first):
        if pair < len(group):
            return f"Document {pair} of query {query}"
        pair -= len(group)
    raise IndexError(pair)


def _refuse_cut(encoded: Sequence[prompts.EncodedPrompt], name: Callable[[int], str], max_length: int) -> None:
    for index, prompt in enumerate(encoded):
        if prompt.truncated:
            raise TooLongError(
                f"{name(index)} does not fit {max_length} tokens with its query; shorten it, raise"
                " max_length, or allow it to be cut (truncate=True)."
            )


def _check_finite(logits: NDArray[np.float32], name: Callable[[int], str], bundle: Bundle, provider: str) -> None:
    if len(wrong := np.flatnonzero(~np.isfinite(logits).all(axis=1))):
        raise ScoreError(
            f"{name(int(wrong[0]))} has a score that is not a number, from {bundle.path} on {provider};"
            f" run `aatm-onnx verify {bundle.path}`, and export the bundle again if it fails."
        )
