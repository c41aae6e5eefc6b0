"""Interrupts (Ctrl-C) while modules load.

An exception in the middle of an import does not reach who should catch it: some swallow it, and some print it.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def ended_by_interrupts() -> Iterator[None]:
    """For the command line: an interrupt ends the process at once, as it ends a command, in one line and with 130."""
    with _handling(_leave):
        yield


@contextlib.contextmanager
def delaying_interrupts() -> Iterator[None]:
    """For libraries that take a moment to load and can't be interrupted meanwhile: they are loaded to the end first."""
    waiting: list[int] = []
    with _handling(lambda number, _: waiting.append(number)):
        yield
    if waiting:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _handling(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Handle interrupts so, if by default they would raise KeyboardInterrupt here; nohup's are ignored, and stay so."""
    by_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not by_default or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> None:
    with contextlib.suppress(OSError):  # standard error is closed
        os.write(2, b"\nInterrupted.\n")  # after the terminal's ^C, as click does it
    os._exit(130)
