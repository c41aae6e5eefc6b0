"""One term with its candidates, in the order of a retriever that does not know better."""

import pytest

from aatm_onnx import Qwen3Reranker

QUERY = "kidney stones"
CANDIDATES = ["Bladder stones", "Gallstones", "Renal cyst", "Nephrolithiasis", "Kidney disease", "Headache"]


@pytest.fixture(scope="session")
def ranked() -> list[tuple[int, float, str]]:
    """What this package itself says of them."""
    return [tuple(each) for each in Qwen3Reranker(provider="cpu").rank(QUERY, CANDIDATES)]
