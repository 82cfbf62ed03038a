"""Message catalogues: the messages in the code are English; French and German are ``.po`` files beside it."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

#: The language of the messages in the code, and the language of readers without a catalogue.
SOURCE_LANGUAGE = "en"
_TRANSLATED = ("fr", "de")


@cache
def _catalogue(language: str) -> Mapping[str, str]:
    # Imported here, because most commands need no words.
    from babel.messages.pofile import read_po  # noqa: PLC0415 - most commands write no notice

    with resources.files(__package__).joinpath(f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language, abort_invalid=True)
    messages: dict[str, str] = {}
    for message in catalogue:
        # The header has an empty id. A fuzzy translation is a guess that nobody has checked.
        if message.id and isinstance(message.id, str) and isinstance(message.string, str) and not message.fuzzy:
            messages[message.id] = message.string
    return MappingProxyType(messages)


def translate(message: str, language: str) -> str:
    """Return a message in a language; in English if the catalogue does not contain it."""
    return _catalogue(language).get(message, message) if language in _TRANSLATED else message
