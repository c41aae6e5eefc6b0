"""What a fork must not meet: a run in the middle, and a session whose threads the child lacks; and a process's end.

A child has only the thread that forked. A lock that another thread held stays locked in it, so a fork waits until no
session runs. And ONNX Runtime ends a session by waiting for its threads, so the child never ends the parent's: they
stay in its memory, which it shares with the parent.

A process may end while daemon threads score. Python then ends each where it next needs the interpreter's lock; inside
ONNX Runtime that would abort the process. So its end waits for the batches that run, and no others begin.
"""

import atexit
import ctypes
import os
import threading
from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakKeyDictionary

# What must not be freed in a child, and the lock that is held while it runs.
_running: "WeakKeyDictionary[Any, AbstractContextManager[Any]]" = WeakKeyDictionary()
_held: list[AbstractContextManager[Any]] = []
_process_ends = threading.Event()


def guard(runtime: object, lock: AbstractContextManager[Any]) -> None:
    """Let forks wait for `lock`, and keep `runtime` in children.

    Args:
        runtime: ONNX Runtime's session.
        lock: held while it runs, and may be taken by a thread that holds it already.
    """
    _running[runtime] = lock


def end_with_process() -> None:
    """Between two runs: end this thread, if the process ends and it is not the one that ends it.

    Raises:
        SystemExit: which threads end with silently.
    """
    if _process_ends.is_set() and threading.current_thread() is not threading.main_thread():
        raise SystemExit


def _at_exit() -> None:
    _process_ends.set()
    _before()
    _after()  # a thread that waits for the lock ends by itself before it runs anything, and a join of it returns


atexit.register(_at_exit)


def _before() -> None:
    for lock in list(_running.values()):
        lock.__enter__()
        _held.append(lock)


def _after() -> None:
    while _held:
        _held.pop().__exit__(None, None, None)


def _after_in_child() -> None:
    for runtime in list(_running):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(runtime))
    _running.clear()
    _after()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
