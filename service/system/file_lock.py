"""Locks that processes hold by a file. The system frees a lock when the process ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from notifications.errors import Fault, GreffierError, InvalidInputError
from service.system.atomic_files import give_to_owner


@contextmanager
def file_lock(path: Path, taken: GreffierError | None = None) -> Iterator[None]:
    """Hold a lock file; raises ``taken`` while another process has it, and waits for it where there is no ``taken``."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        give_to_owner(descriptor, path.parent)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if taken is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if taken is None:
                raise
            raise taken from None
        yield
    finally:
        os.close(descriptor)


def sole_use(folder: Path) -> AbstractContextManager[None]:
    """Hold a folder for this process; raises InvalidInputError while another one has it.

    Two services on one embedded data folder would send twice what they lease; two witnesses on one folder would cosign
    two histories.
    """
    return file_lock(folder / "lock", InvalidInputError(Fault("data", f"{folder} is in use by another process")))
