"""Write files that hold keys: never readable by others for a moment, replaced whole or not at all."""

import os
from pathlib import Path

_BESIDE = ".new"


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist; raises FileExistsError. On return it is on disk."""
    _write(path, data, mode, os.O_EXCL)


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Put a file in the place of another by one rename; on return it is on disk, a crash leaves the old or the new."""
    beside = path.with_name(path.name + _BESIDE)
    _write(beside, data, mode, os.O_TRUNC)
    # Left by a crash, it may have had another mode.
    beside.chmod(mode)
    move_file(beside, path)


def move_file(source: Path, target: Path) -> None:
    """Rename a file within its folder; on return the rename is on disk."""
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Put the folder's own entries on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_to_owner(descriptor: int, of: Path) -> None:
    """Give a file that root opened to the owner of another one, or of a folder: the service must be able to read it."""
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
