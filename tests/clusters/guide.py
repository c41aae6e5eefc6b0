"""The programs of docs/guides/clusters.md."""

import re
import subprocess
import sys
from pathlib import Path

from .terms import ROOT, environment

GUIDE = (ROOT / "docs" / "guides" / "clusters.md").read_text("utf-8")


def run_program(title: str, folder: Path) -> None:
    """Run the program below a heading, in a folder that has `terms/`."""
    found = re.search(rf"^### {title}\n.*?^```py\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    assert found, title
    (folder / "program.py").write_text(found[1])
    variables = environment() | {"PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=variables, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
