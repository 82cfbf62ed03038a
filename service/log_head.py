"""The head file: the checkpoint last published, kept outside the database.

It is what a database restored from an old backup is measured against, so it must not be restored with it.
"""

import os
from pathlib import Path

_MODE = 0o644


def read_head(path: Path) -> bytes | None:
    """Return the checkpoint last published, or None where none was written yet; raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_head(path: Path, checkpoint: bytes) -> None:
    """Replace the file; on return the new checkpoint is on disk, a crash before leaves the old one. Raises OSError."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(checkpoint)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
