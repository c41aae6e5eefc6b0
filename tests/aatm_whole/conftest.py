"""A folder as an aatm user has it: a vector database built by aatm, source concepts in OMOP's CSV, models in caches."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

HERE = Path(__file__).parent
MODEL = "Qwen/Qwen3-Reranker-0.6B"
TERMS = [json.loads(line) for line in (HERE.parents[1] / "examples" / "terms.jsonl").read_text("utf-8").splitlines()]

# For the processes that the tests start, and for this package here.
_caches = tempfile.TemporaryDirectory(prefix="aatm-caches-")
CACHES = Path(_caches.name)
os.environ |= {
    "HF_HUB_CACHE": str(CACHES / "hub"),
    "HF_HUB_OFFLINE": "1",
    "AATM_ONNX_CACHE": str(CACHES / "bundles"),
    "ANONYMIZED_TELEMETRY": "False",
    "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
}
sys.path.insert(0, str(HERE))


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """A small random checkpoint, where aatm finds it under MODEL's name, and its bundle, where this package does."""
    import torch
    from aatm_onnx_export.export import export_checkpoint

    from ..checkpoints import make_checkpoint

    repository = CACHES / "hub" / f"models--{MODEL.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0")
    snapshot = make_checkpoint(repository / "snapshots" / "0", dtype=torch.float32)
    export_checkpoint(str(snapshot), CACHES / "bundles" / MODEL.split("/")[1])
    return snapshot


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`concepts.csv`, and the vector database that aatm's own builder makes of all candidates' names."""
    import hashing
    from aatm.local_database_utils import build_local_vector_database

    folder = tmp_path_factory.mktemp("workspace")
    names = sorted({name for term in TERMS for name in term["candidates"]})
    concepts: list[dict[str, Any]] = [
        {
            "expression": name,
            "expression_concept_id": number,
            "std_concept_id": number,
            "std_concept_name": name,
            "std_vocabulary_id": "SNOMED",
            "std_vocabulary_code": f"S{number}",
            "std_domain_id": "Condition",
        }
        for number, name in enumerate(names, start=1000)
    ]
    (folder / ".aatm" / "datasets").mkdir(parents=True)
    pd.DataFrame(concepts).to_csv(folder / ".aatm" / "datasets" / "standard_concept.csv", index=False)
    source = pd.DataFrame(
        {
            "source_code": [f"L{number}" for number in range(len(TERMS))],
            "source_concept_id": 0,
            "source_vocabulary_id": "local",
            "source_code_description": [term["query"] for term in TERMS],
            "valid_start_date": "1970-01-01",
            "valid_end_date": "2099-12-31",
            "invalid_reason": "",
        }
    )
    source.to_csv(folder / "concepts.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        build_local_vector_database(hashing.NAME)
    return folder


@pytest.fixture
def here(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace as working directory."""
    monkeypatch.chdir(workspace)
    return workspace
