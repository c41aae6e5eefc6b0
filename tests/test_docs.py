"""The documentation: built strictly, its code run, its command-line reference generated."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .code_blocks import blocks, run_python, run_shell

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Pages whose code needs packages or servers that this environment lacks; a make target of their own runs it.
ELSEWHERE: set[str] = {"guides/coming-from-aatm.md", "guides/frameworks.md"}
PAGES = sorted(page for page in DOCS.rglob("*.md") if page.relative_to(DOCS).as_posix() not in ELSEWHERE)


def named(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=named)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AATM_ONNX_CACHE", str(tmp_path))
    run_python(page)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")], ids=named)
def test_shell_blocks_run(page: Path, tmp_path: Path) -> None:
    run_shell(page, tmp_path)


def test_the_command_line_reference_is_what_the_commands_say() -> None:
    """`python docs/cli_reference.py > docs/reference/cli.md` writes it again."""
    printed = subprocess.check_output([sys.executable, DOCS / "cli_reference.py"], text=True, cwd=ROOT)
    assert (DOCS / "reference" / "cli.md").read_text("utf-8") == printed


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Dead links between pages and names that the API pages can't find are warnings, and --strict makes them errors."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Nephrolithiasis" in (tmp_path / "site" / "index.html").read_text("utf-8")


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "models" / "README.md"])
def test_links_into_the_repository_lead_somewhere(page: Path) -> None:
    """The package index shows the README too, so its links are absolute, into this repository's main."""
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        inside = re.match(r"https://github\.com/aatm-onnx/aatm-onnx/(?:blob|tree|raw)/main/(.*)", target)
        if inside or "://" not in target:
            assert (ROOT / inside[1] if inside else page.parent / target).exists(), target
