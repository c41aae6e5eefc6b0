"""A table for people."""

from collections.abc import Iterable
from typing import IO

from ...ranking import RankedDocument
from ..terminal import printable
from .item import QueryCandidates


def write(stream: IO[str], item: QueryCandidates, ranking: Iterable[RankedDocument]) -> None:
    """Write one query: the new order, the score, and where the retriever had the candidate."""
    stream.write(f"{printable(item.query)}\n")
    for rank, row in enumerate(ranking, 1):
        notes = [f"was {row.index + 1}"] * (row.index + 1 != rank) + ["cut"] * row.truncated
        ending = f"  ({', '.join(notes)})" if notes else ""
        stream.write(f"{rank:>4}  {row.score:7.4f}  {printable(row.document)}{ending}\n")
    stream.write("\n")
