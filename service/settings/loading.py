"""Read the settings of a data folder: its file, the environment, and the caller's overrides.

pydantic-settings does not fit: it ignores an unknown variable, it does not say which source has the fault, and it
cannot read an old flat name of a nested setting.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError

from notifications.errors import Fault, InvalidInputError
from service.settings.old_names import OLD_NAMES
from service.settings.part import read_text
from service.settings.settings import FIELDS, PARTS, Settings, Source

#: Name of the settings file in a data folder.
SETTINGS_FILE = "greffier.toml"
_PREFIX = "GREFFIER_"
#: Variables that are not settings: the data folder, which scripts call so, and the variables that Kubernetes sets for a
#: service with the name ``greffier``.
_FOREIGN = re.compile(r"data|service_host|service_port\w*|port(_\d+_(tcp|udp|sctp)\w*)?")


@dataclass(frozen=True, slots=True)
class _Given:
    """A value from a source."""

    #: for messages to the operator: ``GREFFIER_MAIL__HOST``, ``greffier.toml: mail.host``
    place: str
    #: ``table.key``, or an old name
    name: str
    value: Any

    @property
    def source(self) -> Source:
        """Where it was stated; the value itself is not in it."""
        if self.place.startswith(SETTINGS_FILE):
            return Source("file", self.place.removeprefix(SETTINGS_FILE).removeprefix(": "))
        return Source("environment", self.place) if self.place.startswith(_PREFIX) else Source("start")

    @property
    def is_old(self) -> bool:
        return self.name in OLD_NAMES

    @property
    def new_name(self) -> str | None:
        """``table.key``; None for an old name that can no longer be set."""
        return OLD_NAMES.get(self.name, self.name)

    def advice(self) -> str:
        """Return what to do about an old name; the text does not contain the value."""
        if self.new_name is None:
            return f"{self.place} can no longer be set and has no effect: remove it"
        is_variable = not self.place.startswith(SETTINGS_FILE)
        return f"{self.place} is now called {variable(self.new_name) if is_variable else self.new_name}"


def variable(name: str) -> str:
    """Return the environment variable of a setting ``table.key``."""
    return _PREFIX + name.replace(".", "__").upper()


def _dotted(name: str) -> str:
    return name.lower().replace("__", ".", 1)


def load_settings(data: Path, **overrides: Any) -> Settings:
    """Return the settings of a data folder; raises InvalidInputError with each wrong setting and its place.

    Overrides win over the environment, and the environment wins over the file. Within a source, a new name wins over an
    old one. Overrides have the names of environment variables, in lower case without the prefix: ``mail__host``.
    """
    sources = (
        _of_file(data / SETTINGS_FILE),
        _of_environment(os.environ),
        [_Given(_dotted(key), _dotted(key), value) for key, value in overrides.items()],
    )
    # Later values replace earlier ones.
    given = [item for source in sources for item in sorted(source, key=lambda item: not item.is_old)]
    if faults := [Fault(item.place, "is no setting") for item in given if not item.is_old and item.name not in FIELDS]:
        raise InvalidInputError(*faults)
    tables: dict[str, dict[str, Any]] = {table: {} for table in PARTS}
    known = {name: item for item in given if (name := item.new_name) is not None}
    for name, item in known.items():
        table, key = name.split(".")
        tables[table][key] = item.value
    try:
        settings = Settings.model_validate({**tables, "data": data})
    except ValidationError as error:
        raise InvalidInputError(*(Fault(_place(item["loc"], known), item["msg"]) for item in error.errors())) from None
    settings._sources = {name: item.source for name, item in known.items()}  # noqa: SLF001 - only loading knows them
    settings._old_names = tuple(item.advice() for item in given if item.is_old)  # noqa: SLF001 - only loading knows them
    return settings


def _of_file(path: Path) -> Iterator[_Given]:
    """Yield the settings in the file; raises InvalidInputError if it is not TOML."""
    if not path.exists():
        return
    try:
        content = tomllib.loads(read_text(path, SETTINGS_FILE))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(Fault(SETTINGS_FILE, str(error))) from None
    for name, value in content.items():
        # A table and an old name can have the same name: ``witnesses``.
        if name in PARTS and isinstance(value, dict):
            yield from (_Given(f"{SETTINGS_FILE}: {name}.{key}", f"{name}.{key}", item) for key, item in value.items())
        else:
            yield _Given(f"{SETTINGS_FILE}: {name}", name, value)


def _of_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    """Yield the settings in variables; raises InvalidInputError if a list or a mapping is not JSON."""
    for place, text in environment.items():
        name = _dotted(place.upper().removeprefix(_PREFIX))
        if not place.upper().startswith(_PREFIX) or _FOREIGN.fullmatch(name):
            continue
        field = FIELDS.get(OLD_NAMES.get(name, name) or "")
        value: Any = text
        if field is not None and get_origin(field.annotation) in {dict, tuple}:
            try:
                value = json.loads(text)
            except ValueError:
                raise InvalidInputError(Fault(place, "must be JSON")) from None
        yield _Given(place, name, value)


def _place(location: Iterable[int | str], known: Mapping[str, _Given]) -> str:
    """Return the place of the value at a path of pydantic; the path itself if no source has the value."""
    path = [str(part) for part in location]
    name = ".".join(path[:2])
    return ".".join([known[name].place if name in known else name, *path[2:]])
