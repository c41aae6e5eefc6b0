"""A server that asks for a key, for real clients. Without the parent's conftest: PyTorch is not needed here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aatm_onnx.serve.lookup import Lookup
from aatm_onnx.serve.reconcile import Reconciliation
from aatm_onnx.serve.settings import Settings
from aatm_onnx.vocabulary import Damage, build_vocabulary, read_sources

from ..serving import Running, serving

KEY = "a-key"
QUERY = "kidney stones"
DOCUMENTS = ["Gallstones", "Nephrolithiasis", "Renal cyst"]
BEST_FIRST = [1, 2, 0]
ATHENA = Path(__file__).parent.parent / "data" / "vocabulary"


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """The default model. httpx sends the key where a test uses the server's own client."""
    with serving(settings=Settings(api_keys=(KEY,))) as running:
        running.client.headers["authorization"] = f"Bearer {KEY}"
        yield running


@pytest.fixture(scope="session")
def lookup(tmp_path_factory: pytest.TempPathFactory) -> Lookup:
    """The vocabulary of tests/data."""
    items = read_sources([ATHENA / "CONCEPT.csv", ATHENA / "CONCEPT_SYNONYM.csv"], Damage())
    return Lookup(build_vocabulary(items, tmp_path_factory.mktemp("index") / "vocabulary"))


@pytest.fixture(scope="session")
def vocabulary_server(lookup: Lookup) -> Iterator[Running]:
    """A server with a vocabulary, without a key, as OpenRefine needs it."""
    with serving(routes=[*lookup.routes(), *Reconciliation(lookup).routes()]) as running:
        yield running
