"""Check the texts that people write into records of reports: the characters, and the length of one line."""

import re

from notifications.errors import Fault, InvalidInputError

NAME_MAX_CHARACTERS = 200
#: Characters that no text for people needs, and that some stores do not take.
_LINE_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str | None, field: str, *, required: bool = True) -> str | None:
    """Return a text as one line, None if it is empty and may be; raises InvalidInputError for the field."""
    text = " ".join((text or "").split())
    if not text:
        if required:
            raise InvalidInputError(Fault(field, "is empty"))
        return None
    if len(text) > NAME_MAX_CHARACTERS:
        raise InvalidInputError(Fault(field, f"has more than {NAME_MAX_CHARACTERS} characters"))
    faults = character_faults(field, text, _LINE_CONTROLS)
    if faults:
        raise InvalidInputError(*faults)
    return text


def character_faults(field: str, text: str, forbidden: re.Pattern[str]) -> list[Fault]:
    """Return the fault of a text that has a forbidden character; empty if it has none."""
    found = forbidden.search(text)
    return [] if found is None else [Fault(field, f"must not contain the character U+{ord(found[0]):04X}")]
