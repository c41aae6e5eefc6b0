"""Files and folders that appear whole or not at all.

Each is made beside its place, under a name of its own (`.NAME.partial-1a2b3c4d`), and renamed when it is whole. Its
maker holds a lock on it. So the next run knows a partial whose maker was killed from one that is still being made.
"""

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# A file that can't be replaced can often be written: it is mounted (`docker -v`), or in somebody else's folder.
_CANNOT_REPLACE = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS}
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


@contextlib.contextmanager
def whole_file(output: Path) -> Iterator[BinaryIO]:
    """Open a file that is at `output` once the block has ended without an error; else what was there stays.

    Where `output` is a link, the file that it leads to is replaced. Where that file can't be replaced (it is mounted on
    its own, or its folder may not be written), the finished content is copied into it. If even that fails, the error
    says where the content is.

    Args:
        output: the file's path; its folder exists.

    Yields:
        The open file, in binary.

    Raises:
        OSError: naming `output`: it can't be written.
    """
    with contextlib.suppress(FileNotFoundError):
        output.stat()  # links in a circle
    target = output.resolve()
    replaceable = os.access(target.parent, os.W_OK) or not target.exists()
    folder = target.parent if replaceable else Path(tempfile.gettempdir())
    remove_leftovers(folder / target.name)
    try:
        with _partial(folder / target.name, lambda path: path.touch(exist_ok=False)) as partial:
            try:
                with partial.open("wb") as stream:
                    if target.exists():
                        shutil.copymode(target, partial)
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                _move_file(partial, target, output)
            finally:
                with contextlib.suppress(OSError):
                    partial.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is not None and not Path(error.filename).name.startswith(f".{target.name}."):
            raise  # of another file, or said already
        if isinstance(error, FileNotFoundError):
            raise without_folder(output) from error
        raise _cannot_write(output, error) from error


@contextlib.contextmanager
def named(output: str | Path) -> Iterator[None]:
    """Say which file an error of writing is about."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.strerror is None:
            raise
        raise _cannot_write(output, error) from error


def without_folder(output: Path) -> FileNotFoundError:
    """What to raise where the folder of an output does not exist."""
    return FileNotFoundError(errno.ENOENT, "can't be written: its folder does not exist", str(output))


def _cannot_write(output: str | Path, error: OSError) -> OSError:
    return OSError(error.errno, f"can't be written ({error.strerror})", str(output))


def _move_file(partial: Path, target: Path, output: Path) -> None:
    try:
        partial.replace(target)
    except OSError as error:
        try:
            if error.errno not in _CANNOT_REPLACE:
                raise
            shutil.copyfile(partial, target)
        except OSError as failed:
            kept = partial.rename(partial.with_name(partial.name.lstrip(".")))  # no longer a leftover
            raise OSError(failed.errno, f"{failed.strerror}; the result is in {kept}", str(output)) from error


@contextlib.contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Make a folder beside `target` that is gone afterwards, whatever happens, unless `move_folder` has moved it.

    Args:
        target: where the folder will be. Missing parents are made, and removed again if they stay empty.

    Yields:
        The new folder.

    Raises:
        OSError: naming `target`: it can't be made, or its disk is full.
    """
    made = [folder for folder in target.parents if not folder.exists()]

    def make(folder: Path) -> None:
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise _cannot_write(target, error) from error

    try:
        with _partial(target, make) as folder:
            try:
                yield folder
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                raise _cannot_write(target, error) from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # they are not empty, if all went well
            for empty in made:
                empty.rmdir()


def move_folder(folder: Path, target: Path) -> None:
    """Rename a finished folder to `target`; an older one there is first moved aside, and back if that fails."""
    old = folder.with_name(folder.name.replace(".partial-", ".old-"))
    with contextlib.ExitStack() as locks:
        if target.exists():
            locks.enter_context(_locked(target, wait=True))
            target.rename(old)
        try:
            folder.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(target: Path) -> None:
    """Remove what killed runs left beside `target`, with a warning that names it.

    What a living process is making stays. A folder that was moved aside when its successor was to take its place is put
    back if there is none.
    """
    for path in sorted(target.parent.glob(f".{_escaped(target.name)}.*-*")):
        kind = path.name.removeprefix(f".{target.name}.").partition("-")[0]
        if kind not in ("new", "partial", "old"):
            continue
        with _locked(path, wait=False) as ours:
            if not ours or not path.exists():  # its maker lives, or finished just now
                continue
            if kind == "old" and not target.exists():
                path.rename(target)
                warnings.warn(f"{target} was put back: a run was killed while it replaced it.", stacklevel=2)
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            if kind != "new":  # that is empty: nothing is lost
                warnings.warn(f"{path} was removed: a run that was killed had left it.", stacklevel=2)


def _escaped(name: str) -> str:
    return "".join(f"[{character}]" if character in "[]*?" else character for character in name)


@contextlib.contextmanager
def _partial(target: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Make a file or folder beside `target` and hold its lock.

    Until it is locked it has another name, under which it is empty. Should another run take it for a leftover and
    remove it, it is made again and nothing is said.
    """
    path = target.with_name(f".{target.name}.partial-{secrets.token_hex(4)}")
    unlocked = path.with_name(path.name.replace(".partial-", ".new-"))
    while True:
        make(unlocked)
        with _locked(unlocked, wait=True):
            try:
                unlocked.rename(path)
            except FileNotFoundError:  # it was removed
                continue
            yield path
            return


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of a file or folder.

    Yields:
        Whether it is held. It is not where another process holds it and `wait` is False, nor where there are no locks
        (Windows, some network drives).
    """
    if fcntl is None:
        yield False
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        yield lock_open_file(descriptor, wait=wait) is True
    finally:
        os.close(descriptor)


def lock_open_file(descriptor: int, *, wait: bool) -> bool | None:
    """Lock an open file or folder until it is closed.

    Returns:
        Whether it is locked: False where another process has locked it; None where there are no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
