"""Training rows become tensors in processes of their own, ahead of the steps that take them."""

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from recipe.rows import Draw, Row

CUT = 0.2  # of the tokens of a text, where any are
T = TypeVar("T")


@dataclass
class Encoder:
    """Token ids of names, as the package's runtime makes them."""

    tokenizer: Tokenizer
    known: dict[str, list[int]] = field(default_factory=dict)  # what is asked for again and again

    def __post_init__(self) -> None:
        self.halves = token_halves(self.tokenizer)

    def learn(self, texts: list[str]) -> None:
        """Keep the ids of these texts."""
        self.known.update(zip(texts, self.ids(texts), strict=True))

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text as it stands in the prompt: after a space."""
        new = [text for text in texts if text not in self.known]
        self.tokenizer.encode_special_tokens = True  # as text, as the runtime does
        found = dict(zip(new, (e.ids for e in self.tokenizer.encode_batch_fast([f" {t}" for t in new])), strict=True))
        return [self.known[text] if text in self.known else found[text] for text in texts]

    def cut_ids(self, texts: list[str], cut: bool, seed: int) -> list[list[int]]:
        """Token ids of each text; some tokens cut in two where they may be, as those of rarer words are."""
        lists = self.ids(texts)
        if not cut:
            return lists
        draw = random.Random(seed)
        return [
            [half for i in ids for half in (self.halves.get(i, (i,)) if draw.random() < CUT else (i,))] for ids in lists
        ]


def token_halves(tokenizer: Tokenizer) -> dict[int, tuple[int, int]]:
    """The two tokens that each was made of, for tokens that were made of two."""
    merges = (
        tuple(m) if isinstance(m, list) else tuple(m.split(" "))
        for m in json.loads(tokenizer.to_str())["model"]["merges"]
    )
    number = tokenizer.token_to_id
    return {number(a + b): (number(a), number(b)) for a, b in merges}


@dataclass
class Bags:
    """Lists of token ids, laid end to end."""

    ids: torch.Tensor  # (tokens,)
    sizes: torch.Tensor  # (lists,)


def make_bags(lists: list[list[int]]) -> Bags:
    """Token ids as bags; an empty list counts as token 0."""
    lists = [ids or [0] for ids in lists]
    return Bags(torch.from_numpy(np.concatenate(lists)).long(), torch.tensor([len(ids) for ids in lists]))


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
