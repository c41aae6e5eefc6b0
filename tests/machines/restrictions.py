"""What a machine lacks, put upon one process by Linux: each says how, and raises OSError where it can't here."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

# The folder of a memory group, its files that limit memory and swap, by the version of cgroups. Where swap can't be
# limited there is none.
_CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.swap.max"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
)


def one_core() -> None:
    """Keep this process, which is about to start Python, on its first core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@contextlib.contextmanager
def memory_group(megabytes: int) -> Iterator[Path]:
    """A group of processes that the kernel gives so much memory, the files that they read included, and no swap."""
    for parent, memory, swap in _CGROUPS:
        group = parent / f"aatm-onnx-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if not (group / memory).exists():
                continue
            (group / memory).write_text(str(megabytes << 20))
            with contextlib.suppress(OSError):
                (group / swap).write_text("0" if swap == "memory.swap.max" else str(megabytes << 20))
            yield group
            return
        finally:
            group.rmdir()
    raise OSError("no memory group can be made (that takes root, and cgroups)")


def enter(group: Path) -> None:
    """Put this process into a group."""
    (group / "cgroup.procs").write_text(str(os.getpid()))


READ_ONLY = ["unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh"]
NOBODY = ["unshare", "--user", "--map-user=12345", "env", "-u", "HOME"]  # a user that has no entry in /etc/passwd


def check(wrapper: list[str]) -> None:
    """Try a command that wraps others."""
    done = subprocess.run([*wrapper, "true"], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{done.stderr.strip()} (that takes root)")
