"""Free space on the disk of the data folder. A full disk loses no data: an action that cannot be committed fails."""

import os
from pathlib import Path


def free_bytes(folder: Path) -> int | None:
    """Return how many bytes this process may still write in a folder; None if that is not known."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def disk_health(folder: Path, least_bytes: int) -> str | None:
    """Return a warning if less than ``least_bytes`` are free, else None."""
    free = free_bytes(folder)
    if free is None or free >= least_bytes:
        return None
    return f"{free // 2**20} MiB are free on the disk of the data folder; nothing is accepted once it is full"
