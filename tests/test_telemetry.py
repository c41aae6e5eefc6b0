"""Nothing leaves the machine: ONNX Runtime's reports to its maker are off before anything can import it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENTRIES = [
    ROOT / "aatm_onnx" / "__init__.py",
    *sorted(ROOT.glob("export/aatm_onnx_export/**/*.py")),
    *sorted(ROOT.glob("benchmarks/*.py")),
    ROOT / "tests" / "conftest.py",
]

# Imports each file as if it were the first, and says what the switch was when ONNX Runtime, or optimum, which imports
# it, was asked for. Both are refused then, so the next file asks again.
WATCH_IMPORTS = """
import importlib, os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("onnxruntime", "optimum"):
            print(entry, "asks for", name, os.environ.get("ORT_DISABLE_TELEMETRY"))
            raise ImportError(name)

sys.meta_path.insert(0, Watch())
ours = ("aatm_onnx", "aatm_onnx_export", "tests", *(os.path.basename(entry)[:-3] for entry in sys.argv[1:]))
for entry in sys.argv[1:]:
    os.environ.pop("ORT_DISABLE_TELEMETRY", None)
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]
    folder, _, module = entry[:-3].rpartition("/")
    if module == "__init__":
        folder, _, module = folder.rpartition("/")
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder, _, package = folder.rpartition("/")
        module = f"{package}.{module}"
    sys.path.insert(0, folder)
    try:
        importlib.import_module(module)
    except (ImportError, SystemExit):
        pass
    print(entry, "leaves", os.environ.get("ORT_DISABLE_TELEMETRY"))
"""

# The runtime looks its maker's host up 10 seconds after it was imported.
SCORE_AND_WAIT = """
import time
from aatm_onnx import Qwen3Reranker
print(Qwen3Reranker(provider="cpu").rank("kidney stones", ["Gallstones", "Nephrolithiasis"])[0].document, flush=True)
time.sleep(float(__import__("sys").argv[1]))
"""


def test_the_switch_is_set_before_onnxruntime_is_asked_for() -> None:
    command = [sys.executable, "-c", WATCH_IMPORTS, *map(str, ENTRIES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    asked = re.findall(r"(\S+) asks for (\S+) (\S+)", done.stdout)
    assert asked, "no file imports ONNX Runtime at its top; then this test watches the wrong files"
    assert not [ask for ask in asked if ask[2] != "1"]
    left = dict(re.findall(r"(\S+) leaves (\S+)", done.stdout))
    assert len(left) == len(ENTRIES)
    # Those that import it inside a function have set it by then.
    imports_it = re.compile(r"^\s*(from|import) (onnxruntime|optimum|aatm_onnx)\b", re.MULTILINE)
    for file in ENTRIES:
        if imports_it.search(file.read_text("utf-8")):
            assert left[str(file)] == "1", file


def test_a_reranker_writes_no_folder_and_looks_no_name_up(tmp_path: Path) -> None:
    """Three processes at the same time: with reports allowed, which shows that this test sees them; as is; homeless."""
    strace = _strace_that_works(tmp_path)
    seconds = 13.0 if strace else 0.0
    homes = {"reporting": tmp_path / "reporting", "silent": tmp_path / "silent", "homeless": Path("/nonexistent/home")}
    for name in ("reporting", "silent"):
        homes[name].mkdir()
    started = {
        name: _start(home, tmp_path / f"{name}.trace" if strace else None, name == "reporting", seconds)
        for name, home in homes.items()
    }
    ended = {name: process.communicate(timeout=120) for name, process in started.items()}
    for name in ("silent", "homeless"):
        assert started[name].returncode == 0, ended[name][1]
        assert ended[name] == ("Nephrolithiasis\n", "")
    assert not list(homes["silent"].rglob("*"))
    assert not Path("/nonexistent").exists()
    if not list(homes["reporting"].rglob("onnxruntime.db")):
        pytest.skip("this ONNX Runtime does not report even if it may, so there is nothing to switch off")
    if not strace:
        pytest.skip("no folder is written; strace, which would show names being looked up, can't be used here")
    assert _lookups(tmp_path / "reporting.trace")
    assert not _lookups(tmp_path / "silent.trace")
    assert not _lookups(tmp_path / "homeless.trace")


def _start(home: Path, trace: Path | None, reporting: bool, seconds: float) -> "subprocess.Popen[str]":
    unwanted = ("ORT_DISABLE_TELEMETRY", "CI", "ORT_RUNNING_UNIT_TESTS")  # the last two silence the runtime as well
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT)} | ({"ORT_DISABLE_TELEMETRY": "0"} if reporting else {})
    environment.pop("XDG_CACHE_HOME", None)
    watched = ["strace", "-f", "-qq", "-e", "trace=socket,openat", "-o", str(trace)] if trace else []
    command = [*watched, sys.executable, "-c", SCORE_AND_WAIT, str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _strace_that_works(folder: Path) -> bool:
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", folder / "tried", "true"], capture_output=True).returncode == 0


def _lookups(trace: Path) -> list[str]:
    return [line for line in trace.read_text().splitlines() if "AF_INET" in line or "/etc/resolv.conf" in line]
