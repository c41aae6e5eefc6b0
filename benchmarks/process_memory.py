"""What a process's memory is, as Linux says it."""

from pathlib import Path


def kibibytes(field: str, process: int | str = "self") -> int:
    """A figure of /proc/PROCESS/status.

    getrusage's peak also counts what its parent held when it started the process.

    Args:
        field: "VmRSS" for what is resident now, "VmHWM" for the most so far, "RssAnon" without mapped files.
        process: its id, or "self".

    Raises:
        OSError: there is no such process.
        KeyError: it has no such figure, as one that has just ended.
    """
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)[field].split()[0])
