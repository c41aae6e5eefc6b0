"""What `import aatm_onnx` loads and when, and what an interrupt meanwhile does."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import aatm_onnx

COMMAND = ["-m", "aatm_onnx.cli", "rerank", "--provider", "cpu", "kidney stones", "Gallstones", "Nephrolithiasis"]

# The last but one is imported before ONNX Runtime's C++ part.
MODULES = (
    "click.core",
    "numpy._core.multiarray",
    "numpy",
    "aatm_onnx.load",
    "onnxruntime.capi._ld_preload",
    "tokenizers",
)


def python(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_or_asking_for_help_waits_for_neither_numpy_nor_a_runtime() -> None:
    loaded = "import sys; print({'numpy', 'onnxruntime', 'tokenizers', 'rank_bm25', 'click'} & set(sys.modules))"
    assert python("-c", f"import aatm_onnx; {loaded}") == "set()\n"
    for option in ("--help", "--version"):
        code = f"import sys, atexit; sys.argv[1:] = ['{option}']\nfrom aatm_onnx.cli import main"
        assert python("-c", f"{code}\natexit.register(lambda: exec({loaded!r}))\nmain()").endswith("{'click'}\n")


def test_an_export_without_its_packages_names_the_extra_in_python_and_on_the_command_line() -> None:
    reason = "import of onnx halted; None in sys.modules"
    message = f"Export needs more packages ({reason}): pip install 'aatm-onnx[export]'."
    without = "import sys; sys.modules['onnx'] = None\n"
    imported = f"{without}try:\n  import aatm_onnx_export\nexcept ImportError as error: print(error)"
    assert python("-c", imported) == f"{message}\n"
    command = f"{without}sys.argv[1:] = ['export', 'x']\nfrom aatm_onnx.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, f"Error: {message}\n")


def test_every_public_name_is_there_by_all_three_ways() -> None:
    everything: dict[str, object] = {}
    exec("from aatm_onnx import *", everything)
    assert set(aatm_onnx.__all__) <= set(everything)
    for name in (*aatm_onnx.__all__, "__version__"):
        assert name in dir(aatm_onnx)
        assert getattr(aatm_onnx, name) is everything.get(name, aatm_onnx.__version__)
    assert re.match(r"\d", aatm_onnx.__version__)
    with pytest.raises(AttributeError, match="has no attribute 'Rerankr'"):
        aatm_onnx.Rerankr  # type: ignore[attr-defined]  # noqa: B018


def test_both_rerankers_are_where_aatm_has_them() -> None:
    from aatm_onnx import rerankers

    assert (rerankers.BM25Reranker, rerankers.Qwen3Reranker) == (aatm_onnx.BM25Reranker, aatm_onnx.Qwen3Reranker)


def test_a_type_checker_knows_the_public_names_and_no_others(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    user, package = tmp_path / "user.py", str(Path(aatm_onnx.__file__))
    names = ", ".join(aatm_onnx.__all__)
    user.write_text(f"from aatm_onnx import {names}, __version__\nfrom aatm_onnx import Rerankr\n", "utf-8")
    alone = ["--config-file=", f"--cache-dir={tmp_path}", "--follow-imports=skip", "--ignore-missing-imports"]
    said, _, status = api.run([*alone, str(user), package])
    assert status == 1 and 'user.py:2: error: Module "aatm_onnx" has no attribute "Rerankr"' in said
    assert said.count("error:") == 1, said


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send an interrupt to one process alone")
@pytest.mark.parametrize("module", MODULES)
def test_an_interrupt_while_modules_load_ends_in_one_line(module: str) -> None:
    """Python says on standard error what it has imported; when it says `module`, it is in the middle of the rest."""
    command = [sys.executable, "-X", "importtime", *COMMAND]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None and process.stdout is not None
        for line in process.stderr:
            if line.startswith("import time:") and line.rpartition("|")[2].strip() == module:
                process.send_signal(signal.SIGINT)
                break
        said = "".join(line for line in process.stderr if not line.startswith("import time:"))
        assert (process.wait(30), said, process.stdout.read()) == (130, "\nInterrupted.\n", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send an interrupt to one process alone")
def test_an_interrupt_while_onnxruntime_loads_is_no_import_error() -> None:
    """Its C++ part would make an ImportError of it, so it waits until all is loaded."""
    code = """
import os, signal, sys
from aatm_onnx.runtime.providers import import_onnxruntime
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("onnxruntime.capi._pybind_state"):
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
try:
    import_onnxruntime()
except KeyboardInterrupt:
    print("onnxruntime" in sys.modules, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    assert python("-c", code) == "True True\n"
