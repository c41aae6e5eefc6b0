"""Each framework's example and each block of the guide runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ["cross_encoder", "haystack", "lancedb", "langchain", "llama_index"]
GUIDE = (ROOT / "docs" / "guides" / "frameworks.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^## (.+?)\n.*?^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE))
ELSEWHERE = {"OntoAligner"}  # `make test-ontoaligner`


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_example(name: str, tmp_path: Path) -> None:
    assert re.search(
        "Nephrolithiasis|Stones in the kidney pelvis", run(tmp_path, str(ROOT / "examples" / f"with_{name}.py"))
    )


@pytest.mark.parametrize("title", [title for title in BLOCKS if title not in ELSEWHERE])
def test_guide(title: str, tmp_path: Path) -> None:
    assert "Nephrolithiasis" in run(tmp_path, "-c", BLOCKS[title])
