"""What every reranker does: check texts, score them by one method, rank, stream, write back."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from .errors import ScoreError, TooLongError
from .pipeline import BaseReranker, read_texts, write_scores
from .ranking import PairScore, RankedDocument, check_documents, check_list, check_text, check_top_k, ranking_of

StreamItem = tuple[str, Iterable[str]] | tuple[str, Iterable[str], str | None]
Documents = Sequence[Sequence[str]]  # of each query
Tasks = str | Sequence[str | None] | None
_CheckedItem = tuple[str, list[str], str | None]

# `rank_stream` scores so many queries, or pairs, together: enough to fill batches, few enough that results come soon.
_STREAM_QUERIES = 16
_STREAM_PAIRS = 1024


class Reranker(BaseReranker):
    """Gives every document a score; checking, sorting and writing back are done here, once.

    A reranker may be shared between threads, and used in a `with` statement, which closes it.

    Attributes:
        scores_depend_on_list: whether a document's score depends on those beside it, as BM25's does.
    """

    scores_depend_on_list = False

    @abstractmethod
    def _score_pairs(
        self, queries: Sequence[str], documents: Documents, tasks: Sequence[str | None], truncate: bool, first: int = 0
    ) -> list[list[PairScore]]:
        """Score `documents[i]` against `queries[i]`. The arguments are checked already.

        Errors and warnings count the queries from `first`, where these are the next ones of a stream.
        """

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
        checked, texts = _checked_pairs(queries, documents)
        return self._score_pairs(checked, texts, _checked_tasks(task, len(checked)), truncate)

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
        most = check_top_k(top_k)
        texts = check_documents(documents)
        return ranking_of(texts, self._score_one(query, texts, task, truncate))[:most]

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
        most = check_top_k(top_k)
        checked, texts = _checked_pairs(queries, documents)
        scored = self._score_pairs(checked, texts, _checked_tasks(task, len(checked)), truncate)
        return [ranking_of(group, pairs)[:most] for group, pairs in zip(texts, scored, strict=True)]

    def rank_stream(
        self,
        items: Iterable[StreamItem],
        top_k: int | None = None,
        *,
        task: str | None = None,
        truncate: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[list[RankedDocument]]:
        """Rank queries as they come, for work that does not fit memory.

        Args:
            items: (query, documents) of each, or (query, documents, task); taken as needed, a few queries ahead.
            top_k: as in `rank`.
            task: the instruction of queries that bring none; None takes the reranker's own.
            truncate: cut a pair that is too long for the model. False refuses it.
            progress: called with the number of queries ranked so far.

        Yields:
            Each query's ranking, in the order of the queries.

        Raises:
            ValueError: as `rank_many`, with the query's place counted from the stream's start.
        """
        most, task = check_top_k(top_k), _checked_task(task)
        done = 0
        for chunk in _chunks(_checked_items(items, task)):
            queries, texts, tasks = (list(part) for part in zip(*chunk, strict=True))
            try:
                scored = self._score_pairs(queries, texts, tasks, truncate, done)
            except (ScoreError, TooLongError) as error:
                raise type(error)(f"After {done} queries of the stream: {error}") from None
            for group, pairs in zip(texts, scored, strict=True):
                done += 1
                yield ranking_of(group, pairs)[:most]
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
        return self._score_pairs([check_text(query, "The query")], [texts], [_checked_task(task)], truncate)[0]


def _checked_pairs(queries: Iterable[str], documents: Iterable[Iterable[str]]) -> tuple[list[str], list[list[str]]]:
    check_list(queries, "The queries")
    check_list(documents, "The documents of all queries")
    checked = [check_text(query, f"Query {index}") for index, query in enumerate(queries)]
    texts = [check_documents(group, f" of query {index}") for index, group in enumerate(documents)]
    if len(checked) != len(texts):
        raise ValueError(f"There are {len(checked)} queries but {len(texts)} lists of documents; each query needs one.")
    return checked, texts


def _checked_task(task: str | None) -> str | None:
    return None if task is None else check_text(task, "The task")


def _checked_tasks(task: Tasks, queries: int) -> list[str | None]:
    if task is None or isinstance(task, str):
        return [_checked_task(task)] * queries
    check_list(task, "The tasks")
    tasks = [each if each is None else check_text(each, f"Task {index}") for index, each in enumerate(task)]
    if len(tasks) != queries:
        raise ValueError(f"There are {queries} queries but {len(tasks)} tasks; give one task, or one for each query.")
    return tasks


def _checked_items(items: Iterable[StreamItem], task: str | None) -> Iterator[_CheckedItem]:
    for number, item in enumerate(items):
        match item:
            case (query, documents) | (query, documents, None):
                own = task
            case (query, documents, own):
                own = check_text(own, f"Task {number}")
            case _:
                raise ValueError(f"Item {number} of the stream must be (query, documents) or (query, documents, task).")
        yield check_text(query, f"Query {number}"), check_documents(documents, f" of query {number}"), own


def _chunks(items: Iterable[_CheckedItem]) -> Iterator[list[_CheckedItem]]:
    """Items in lists that grow from one query, so that the first ranking comes at once."""
    chunk: list[_CheckedItem] = []
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
