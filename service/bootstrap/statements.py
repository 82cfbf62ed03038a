"""The prepared statements of an installation: its own, and the bundled ones."""

from pathlib import Path

from notifications.errors import Fault, InvalidInputError
from notifications.wording.statements import Statement, parse_statements, with_own


def load_statements(file: Path | None) -> tuple[Statement, ...]:
    """Return the installation's statements, then the bundled ones; raises InvalidInputError."""
    if file is None:
        return with_own(())
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise InvalidInputError(Fault("statements.file", f"{file}: {reason}")) from None
    return with_own(parse_statements(text, file.name))
