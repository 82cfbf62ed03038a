"""Read files that other people may have made, never more than a limit: a file may be a device without an end."""

from pathlib import Path

from notifications.errors import Fault, InvalidInputError

#: Largest file that is read into memory: a mail, a PDF, a table, a tile of a log.
MAX_FILE_BYTES = 64 * 1024 * 1024


def read_file(path: Path) -> bytes:
    """Return the content of a file; raises InvalidInputError for one that cannot be read or is larger."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInputError(Fault(str(path), f"cannot be read: {error.strerror}")) from None
    if len(content) > MAX_FILE_BYTES:
        raise InvalidInputError(Fault(str(path), f"is larger than {MAX_FILE_BYTES} bytes"))
    return content
