"""How much room is left where the service writes. A full disk loses nothing: what cannot be committed is not done."""

import os
from pathlib import Path


def free_bytes(folder: Path) -> int | None:
    """Return how many bytes this process may still write in a folder; None where that cannot be told."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def disk_health(folder: Path, least_bytes: int) -> str | None:
    """Return that the disk is nearly full, or None."""
    free = free_bytes(folder)
    if free is None or free >= least_bytes:
        return None
    return f"{free // 2**20} MiB are free on the disk of the data folder; nothing is accepted once it is full"
