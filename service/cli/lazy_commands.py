"""Commands that are imported when they run, or when their help is asked for."""

import pkgutil
from collections.abc import Iterator, Mapping
from typing import cast

import click


class LazyCommands(Mapping[str, click.Command]):
    """The commands of a group by name, each given as ``module:attribute`` and imported when it is looked up.

    A click group asks nothing more of its commands than a mapping. Listing the names imports nothing, so that one
    command never loads what another one needs, and a misspelt name is answered with the nearest one.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> click.Command:
        return cast("click.Command", pkgutil.resolve_name(self._places[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
