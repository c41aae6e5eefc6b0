"""The code in a page of Markdown, and how it is run."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """A page's blocks in a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def run_python(page: Path) -> None:
    """Run a page's Python blocks in the current folder, one after the other, as one program."""
    namespace: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in blocks(page, "python"):
            exec(compile(block, str(page), "exec"), namespace)


def run_shell(page: Path, folder: Path) -> None:
    """Run a page's shell blocks in a folder, with this environment's commands."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in blocks(page, "sh"):
        command = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
