"""Types and options that several commands share."""

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
DATA = click.option("--data", required=True, type=FOLDER, help="Data folder.")


def printable(text: str) -> str:
    """Return text that cannot control a terminal: control characters are replaced."""
    return "".join(char if char.isprintable() else "�" for char in text)
