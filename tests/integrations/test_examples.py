"""Each framework's example and each block of the guide runs, and ranks."""

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


def first_named(folder: Path, *arguments: str) -> str:
    """Which of all candidates the program prints first; none of them has the right one in the first place."""
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.search("Nephrolithiasis|Calculus of kidney|Gallstones|Bladder stones|.idney cyst", done.stdout)
    assert found, done.stdout
    return found[0]


@pytest.mark.parametrize("name", NAMES)
def test_example(name: str, tmp_path: Path) -> None:
    right = "Calculus of kidney" if name == "haystack" else "Nephrolithiasis"
    assert first_named(tmp_path, str(ROOT / "examples" / f"with_{name}.py")) == right


def test_every_example_is_run() -> None:
    found = {path.stem.removeprefix("with_") for path in (ROOT / "examples").glob("with_*.py")}
    assert found == {*NAMES, *(title.lower() for title in ELSEWHERE)}


@pytest.mark.parametrize("title", [title for title in BLOCKS if title not in ELSEWHERE])
def test_guide(title: str, tmp_path: Path) -> None:
    assert first_named(tmp_path, "-c", BLOCKS[title]) == "Nephrolithiasis"
