"""A server that asks for a key, for real clients. Without the parent's conftest: PyTorch is not needed here."""

from collections.abc import Iterator

import pytest

from aatm_onnx.serve.settings import Settings

from ..serving import Running, serving

KEY = "a-key"
QUERY = "kidney stones"
DOCUMENTS = ["Gallstones", "Nephrolithiasis", "Renal cyst"]
BEST_FIRST = [1, 0, 2]


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """The default model. httpx sends the key where a test uses the server's own client."""
    with serving(settings=Settings(api_keys=(KEY,))) as running:
        running.client.headers["authorization"] = f"Bearer {KEY}"
        yield running
