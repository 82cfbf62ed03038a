"""Read the settings of a data folder: its file, the environment, and what the caller overrides.

This is not done by pydantic-settings: it can read the old flat names from no source, takes no notice of an unknown
variable, and says of no fault in which source it is.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError

from notifications.errors import Fault, InvalidInputError
from service.settings.old_names import OLD_NAMES
from service.settings.part import read_text
from service.settings.settings import FIELDS, PARTS, Settings

#: Name of the settings file in a data folder.
SETTINGS_FILE = "greffier.toml"
_PREFIX = "GREFFIER_"
#: No settings: the folder, which scripts name so, and what Kubernetes sets where a service is called ``greffier``.
_FOREIGN = re.compile(r"data|service_host|service_port\w*|port(_\d+_(tcp|udp|sctp)\w*)?")


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that a source gives."""

    #: where it stands, as an operator knows it: ``GREFFIER_MAIL__HOST``, ``greffier.toml: mail.host``
    place: str
    #: ``table.key``, or an old name
    name: str
    value: Any

    @property
    def new_name(self) -> str | None:
        return OLD_NAMES.get(self.name, self.name)


def variable(name: str) -> str:
    """Return the environment variable of a setting ``table.key``."""
    return _PREFIX + name.replace(".", "__").upper()


def load_settings(data: Path, **overrides: Any) -> Settings:
    """Return the settings of a data folder; raises InvalidInputError naming each setting that is wrong, and its place.

    Overrides win over the environment, the environment over the file; in each, a new name wins over an old one.
    Overrides are named as environment variables are, in lower case without the prefix: ``mail__host``.
    """
    overriding = [_Given(name := key.replace("__", ".", 1), name, value) for key, value in overrides.items()]
    tables: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    old_names: list[str] = []
    faults: list[Fault] = []
    for source in (_of_file(data / SETTINGS_FILE), _of_environment(os.environ), overriding):
        for given in sorted(source, key=lambda item: item.name not in OLD_NAMES):
            new = given.new_name
            if given.name in OLD_NAMES:
                old_names.append(_advice(given, new))
            if new is None:
                continue
            if new not in FIELDS:
                faults.append(Fault(given.place, "is no setting"))
                continue
            table, key = new.split(".")
            tables.setdefault(table, {})[key] = given.value
            places[new] = given.place
    if faults:
        raise InvalidInputError(*faults)
    try:
        settings = Settings.model_validate({**tables, "data": data})
    except ValidationError as error:
        raise InvalidInputError(*(Fault(_place(item["loc"], places), item["msg"]) for item in error.errors())) from None
    settings._old_names = tuple(old_names)  # noqa: SLF001 - only this function knows them
    return settings


def _of_file(path: Path) -> list[_Given]:
    if not path.exists():
        return []
    try:
        content = tomllib.loads(read_text(path, SETTINGS_FILE))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(Fault(SETTINGS_FILE, str(error))) from None
    found: list[tuple[str, Any]] = []
    for name, value in content.items():
        is_table = name in PARTS and isinstance(value, dict)
        found += [(f"{name}.{key}", item) for key, item in value.items()] if is_table else [(name, value)]
    return [_Given(f"{SETTINGS_FILE}: {name}", name, value) for name, value in found]


def _of_environment(environment: Mapping[str, str]) -> list[_Given]:
    found = []
    for place, text in environment.items():
        if not place.upper().startswith(_PREFIX):
            continue
        name = place.lower().removeprefix(_PREFIX.lower()).replace("__", ".", 1)
        if not _FOREIGN.fullmatch(name):
            given = _Given(place, name, text)
            found.append(_Given(place, name, _structured(given)))
    return found


def _structured(given: _Given) -> Any:
    """Return the text of a variable, read as JSON where the setting is a list or a mapping."""
    field = FIELDS.get(given.new_name or "")
    if field is None or get_origin(field.annotation) not in {dict, tuple}:
        return given.value
    try:
        return json.loads(given.value)
    except ValueError:
        raise InvalidInputError(Fault(given.place, "must be JSON")) from None


def _advice(given: _Given, new: str | None) -> str:
    if new is None:
        return f"{given.place} can no longer be set and has no effect: remove it"
    return f"{given.place} is now called {variable(new) if given.place.upper().startswith(_PREFIX) else new}"


def _place(location: Iterable[str | int], places: Mapping[str, str]) -> str:
    """Return where the value stands that pydantic names by its path."""
    table, key, *deeper = *map(str, location), "", ""
    name = f"{table}.{key}"
    return ".".join(filter(None, (places.get(name, name), *deeper)))
