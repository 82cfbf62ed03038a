"""Message catalogues: the messages in the code are English; French and German are ``.po`` files beside it."""

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

from babel.messages.pofile import read_po

#: The language of the messages in the code, and the language of readers without a catalogue.
SOURCE_LANGUAGE = "en"
_TRANSLATED = ("fr", "de")


def _read(language: str) -> Mapping[str, str]:
    with resources.files(__package__).joinpath(f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language, abort_invalid=True)
    messages: dict[str, str] = {}
    for message in catalogue:
        # The header has an empty id. A fuzzy translation is a guess that nobody has checked.
        if message.id and isinstance(message.id, str) and isinstance(message.string, str) and not message.fuzzy:
            messages[message.id] = message.string
    return MappingProxyType(messages)


_CATALOGUES: Mapping[str, Mapping[str, str]] = {language: _read(language) for language in _TRANSLATED}


def translate(message: str, language: str) -> str:
    """Return a message in a language; in English if the catalogue does not contain it."""
    catalogue = _CATALOGUES.get(language)
    return message if catalogue is None else catalogue.get(message, message)
