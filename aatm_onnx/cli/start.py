"""Where the command line begins: what takes time to load can be interrupted meanwhile."""

from collections.abc import Sequence

from ..interrupts import ended_by_interrupts


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the command line and run it, with the process's own arguments by default."""
    with ended_by_interrupts():
        from .commands import run
    run(arguments)
