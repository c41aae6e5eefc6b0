"""What the emulated processors need, put into a folder: `python -m tests.processors.setup FOLDER`."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .debian import download, unpack

ROOT = Path(__file__).resolve().parents[2]
_PYTHON = ["python3-minimal", "libpython3-stdlib", "libstdc++6"]
_PACKAGES = ["onnxruntime", "tokenizers", "numpy", "rank-bm25", "click"]  # what '.[cpu]' asks for
_GLIBC = (17, 27, 28)  # wheels name the oldest C library that they run with: 2.17 is manylinux2014


def install_qemu(folder: Path) -> None:
    """qemu-user's emulators of ARM64 and x86-64, for this machine."""
    here = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    emulators = {f"./usr/bin/qemu-{processor}" for processor in ("aarch64", "x86_64")}
    with tempfile.TemporaryDirectory() as work:
        for archive in download(["qemu-user"], here, Path(work)):
            if archive.name.startswith("qemu-user_"):  # static: it needs none of the others
                unpack(archive, folder, emulators.__contains__)


def install_python(folder: Path) -> Path:
    """Python and the C library of Debian on ARM64; returns the interpreter."""
    with tempfile.TemporaryDirectory() as work:
        for archive in download(_PYTHON, "arm64", Path(work)):
            unpack(archive, folder)
    if not (folder / "lib").is_symlink():
        (folder / "lib").symlink_to("usr/lib")  # where the programs say that their loader is
    return (folder / "usr" / "bin" / "python3").resolve()


def install_packages(folder: Path, version: str) -> None:
    """ONNX Runtime and the rest, by pip, as wheels for ARM64 and Python `version`."""
    platforms = [f"--platform=manylinux_2_{glibc}_aarch64" for glibc in _GLIBC] + ["--platform=manylinux2014_aarch64"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts"]
    wheels = ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}", *platforms]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, *wheels, *constraints, f"--target={folder}", *_PACKAGES], check=True, env=_env())


def _env() -> dict[str, str]:
    return {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}


def main() -> None:
    """The command line."""
    folder = Path(sys.argv[1]).resolve()
    for part in ("qemu", "arm64", "arm64-packages"):
        shutil.rmtree(folder / part, ignore_errors=True)
    install_qemu(folder / "qemu")
    interpreter = install_python(folder / "arm64")
    install_packages(folder / "arm64-packages", interpreter.name.removeprefix("python"))


if __name__ == "__main__":
    main()
