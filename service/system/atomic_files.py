"""Write files atomically: each file is replaced as a whole, and a file with keys is never readable by others."""

import os
from pathlib import Path

_BESIDE = ".new"


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a new file; raises FileExistsError if it exists. On return it is on disk."""
    _write(path, data, mode, os.O_EXCL)


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Replace a file by one rename. On return the new file is on disk; after a crash the file is the old or the new."""
    beside = path.with_name(path.name + _BESIDE)
    _write(beside, data, mode, os.O_TRUNC)
    # A temporary file that a crash left behind may have another mode.
    beside.chmod(mode)
    move_file(beside, path)


def move_file(source: Path, target: Path) -> None:
    """Rename a file within its folder; on return the rename is on disk."""
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Write the directory entries of a folder to disk (fsync)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_to_owner(descriptor: int, of: Path) -> None:
    """Give a file that root opened to the owner of another file or folder, so that the service can read it."""
    if os.geteuid() == 0:
        status = of.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _write(path: Path, data: bytes, mode: int, how: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | how, mode)
    give_to_owner(descriptor, path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
