"""The blocks of docs/guides/coming-from-aatm.md run, with a retriever that needs no download."""

import os
import re
import subprocess
import sys
from pathlib import Path

import hashing
import pandas as pd

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "coming-from-aatm.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    assert found
    return found[1].replace("qwen3-06B", hashing.NAME)


def test_both_blocks_write_the_same_mapping_where_neither_abstains(here: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = block("sh").replace("aatm-onnx aatm", "aatm-onnx aatm --import hashing")
    subprocess.run(command, shell=True, check=True, env={**os.environ, "PATH": path}, timeout=900)
    everything = pd.read_csv(here / "out" / "mapped_source_concepts.csv")
    exec(block("python"), {})
    some = pd.read_csv(here / "out" / "mapped_source_concepts.csv")
    found = some["target_concept_id"].notna()
    assert len(some) == len(everything)
    assert found.any()
    pd.testing.assert_frame_equal(some[found], everything[found], check_dtype=False)
