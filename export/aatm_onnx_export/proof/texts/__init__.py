"""The texts that bundles are proved and measured on."""

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def conformance_pairs() -> list[tuple[str, str]]:
    """Pairs of query and document: terminology as it is met, in several languages, from a word to a page."""
    return [(pair["query"], pair["document"]) for pair in _read("conformance.json")]


@cache
def calibration_queries() -> list[tuple[str, list[str]]]:
    """Queries as people write them, each with documents much alike, as retrievers give.

    Two queries share one list of documents, so that what is right for one is the other's near miss.
    """
    return [(query, group["documents"]) for group in _read("calibration.json") for query in group["queries"]]


def _read(name: str) -> Any:
    return json.loads(Path(__file__).with_name(name).read_text("utf-8"))
