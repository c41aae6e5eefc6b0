"""Packages of Debian 13, unpacked into a folder: nothing is installed, and no rights are needed.

Its qemu-user is the first that runs ONNX Runtime (that of Debian 12 crashes at its import), and its Python and C
library are those that emulated ARM64 processes get.
"""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES = """Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: {keyring}
"""


def download(packages: list[str], architecture: str, work: Path) -> list[Path]:
    """The .deb files of packages and of all that they need, by an apt that knows of no other system.

    Raises:
        SystemExit: apt, or Debian's keys, are not here.
    """
    if not shutil.which("apt-get") or not KEYRING.exists():
        raise SystemExit(
            f"This needs apt-get and {KEYRING}: Debian has them, Ubuntu after apt-get install debian-archive-keyring."
        )
    for folder in ("state/lists/partial", "cache/archives/partial", "sources"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "sources" / "trixie.sources").write_text(_SOURCES.format(keyring=KEYRING))
    (work / "status").touch()  # no package is installed, so every one that is needed is fetched
    options = {
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::main": os.devnull,
        "Dir::Etc::parts": os.devnull,
        "Dir::Etc::sourcelist": os.devnull,
        "Dir::Etc::sourceparts": work / "sources",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",  # the folder need not be open to apt's own user
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "install", "--yes", "--no-install-recommends", "--download-only", *packages], check=True)
    return sorted((work / "cache" / "archives").glob("*.deb"))


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> None:
    """Put a .deb's files, those that are `wanted`, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as unpacked:
        assert unpacked.stdout is not None
        with tarfile.open(fileobj=unpacked.stdout, mode="r|") as files:
            for file in files:
                if wanted(file.name):
                    files.extract(file, folder, filter="fully_trusted")
    if unpacked.returncode:
        raise SystemExit(f"dpkg-deb can't read {archive}.")
