"""Commands that are imported only to run them, or to show their help."""

import gc
import pkgutil
from collections.abc import Iterator, Mapping
from typing import cast

import click


class LazyCommands(Mapping[str, click.Command]):
    """The commands of a group by name, given as ``module:attribute`` and imported on access.

    A click group needs only a mapping of commands. Listing the names imports nothing, so no command loads the imports
    of another one, and click can suggest the nearest name for a misspelt one.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> click.Command:
        # What an import makes stays. To look for garbage in it again and again is a tenth of the time of the import.
        gc.disable()
        try:
            return cast("click.Command", pkgutil.resolve_name(self._places[name]))
        finally:
            gc.freeze()
            gc.enable()

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
