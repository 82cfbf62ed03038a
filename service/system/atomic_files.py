"""Write files whole or not at all, and never readable by others for a moment."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BESIDE = ".new"


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist; raises FileExistsError. On return it is on disk, and so is its name."""
    _write(path, data, mode)
    sync(path.parent)


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Put a file in the place of another by one rename; on return it is on disk, a crash leaves the old or the new.

    Two processes must not replace the same file at once.
    """
    beside = path.with_name(path.name + _BESIDE)
    # Left by a crash, it may have another mode.
    beside.unlink(missing_ok=True)
    _write(beside, data, mode)
    move_file(beside, path)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Yield a file, readable by its owner only, that takes a path's place once it is written and on disk.

    Where the block raises, nothing is left of the file.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        move_file(Path(name), path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def move_file(source: Path, target: Path) -> None:
    """Rename a file within its folder; on return the rename is on disk."""
    source.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Put on disk what a file holds, or the names that a folder holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_to_owner(descriptor: int, of: Path) -> None:
    """Give a file that root opened to the owner of another file or folder, so that the service can read it."""
    if os.geteuid() == 0:
        status = of.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    give_to_owner(descriptor, path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
