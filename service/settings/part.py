"""The base class of all tables of settings."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from notifications.errors import Fault, InvalidInputError

PortNumber = Annotated[int, Field(ge=0, le=65_535)]


class Part(BaseModel):
    """A table of settings: immutable, without unknown keys; its errors show no values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def read_text(path: Path, name: str) -> str:
    """Return the text of the file that the setting ``name`` names; raises InvalidInputError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(Fault(name, f"cannot read {path}: {error}")) from None


def first_line(path: Path, name: str) -> str:
    """Return the first line of a file; raises InvalidInputError, also if the line is empty."""
    line, *_ = read_text(path, name).splitlines() or [""]
    if not line:
        raise InvalidInputError(Fault(name, "its first line is empty"))
    return line
