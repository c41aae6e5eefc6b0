"""Training rows become tensors in processes of their own, ahead of the steps that take them."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from tokenizers import Tokenizer
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from aatm_onnx.prompt import DEFAULT_PREFIX, DEFAULT_SUFFIX
from recipe.network import Batch, make_batch
from recipe.pool import Question
from recipe.rows import Draw, Row
from recipe.tokenizer import HEAD, query_text

T = TypeVar("T")
LONGEST = 40  # tokens of a name in training
DROPOUT = 0.15  # merges of the BPE that are left out,
SPLIT_OTHERWISE = 0.3  # in so many of the rows


@dataclass
class Encoder:
    """The prompt's parts as token ids; `dropout` splits words in other pieces than the tokenizer would."""

    plain: Tokenizer

    def __post_init__(self) -> None:
        self.dropout = Tokenizer.from_str(self.plain.to_str())
        self.dropout.model.dropout = DROPOUT
        self.head = self.ids([DEFAULT_PREFIX])[0] + self.ids([HEAD])[0]
        self.suffix = self.ids([DEFAULT_SUFFIX])[0]

    def ids(self, texts: list[str], tokenizer: Tokenizer | None = None) -> list[list[int]]:
        """Token ids of each text."""
        return [e.ids for e in (tokenizer or self.plain).encode_batch(texts)]

    def training_batch(self, rows: list[Row]) -> Batch:
        """All rows in one batch; some of them with unusual pieces, query and candidates alike."""
        split = [self.dropout if sum(map(ord, row.query)) % 100 < 100 * SPLIT_OTHERWISE else self.plain for row in rows]
        queries = [self.ids([query_text(row.query)], t)[0] for row, t in zip(rows, split, strict=True)]
        names = [self.ids([f" {c}" for c in row.candidates], t) for row, t in zip(rows, split, strict=True)]
        return make_batch(self.head, queries, [[ids[:LONGEST] + self.suffix for ids in row] for row in names])

    def question_batches(self, items: list[Question], size: int = 8) -> Iterator[Batch]:
        """Questions as the model sees them. Pools must be of one size."""
        for start in range(0, len(items), size):
            part = items[start : start + size]
            documents = [[ids + self.suffix for ids in self.ids([f" {c}" for c in i.candidates])] for i in part]
            yield make_batch(self.head, self.ids([query_text(i.query) for i in part]), documents)


class Stream(IterableDataset, Generic[T]):
    """`steps` batches of `count` rows, the same ones however many processes build them."""

    def __init__(self, draw: Draw, build: Callable[[list[Row]], T], count: int, steps: int, seed: int) -> None:
        self.draw, self.build, self.count, self.steps, self.seed = draw, build, count, steps, seed

    def __iter__(self) -> Iterator[T]:
        torch.set_num_threads(1)
        worker = get_worker_info()
        for step in range(worker.id, self.steps, worker.num_workers):
            yield self.build(self.draw.rows(self.count, seed=self.seed * 1_000_003 + step))


def stream(draw: Draw, build: Callable[[list[Row]], T], count: int, steps: int, seed: int = 0) -> Iterator[T]:
    """Batches built by all processors but one."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are forked
    workers = max(1, len(os.sched_getaffinity(0)) - 1)
    dataset = Stream(draw, build, count, steps, seed)
    return iter(DataLoader(dataset, batch_size=None, num_workers=workers, prefetch_factor=4))
