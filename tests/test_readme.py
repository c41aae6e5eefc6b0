"""The README's Python and shell blocks do what they say, in the order in which they stand."""

from pathlib import Path

import pytest

from .code_blocks import blocks, run_python, run_shell

README = Path(__file__).parent.parent / "README.md"


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert blocks(README, "python")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AATM_ONNX_CACHE", str(tmp_path))
    run_python(README)
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.endswith("Nephrolithiasis")
    assert last.startswith("Hypoglycemia")


def test_shell_blocks_run(tmp_path: Path) -> None:
    assert blocks(README, "sh")
    run_shell(README, tmp_path)
    assert '"Nephrolithiasis"' in (tmp_path / "ranked.jsonl").read_text("utf-8")
