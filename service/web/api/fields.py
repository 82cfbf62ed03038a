"""Field types of the API: texts, codes and times. Their form is checked before a use case runs."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from notifications.canonical_json import timestamp_text
from notifications.duties import is_countable
from notifications.incident import LocalizedText
from notifications.time_zones import time_zone_names

#: C0 and C1 controls and DEL, except tab and line feed. A text for people needs none of them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
#: In one line also those that turn the direction of what follows: lists show a name beside others.
_LINE_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

Language = Literal["fr", "en", "de"]


def _no_controls(text: str) -> str:
    if _CONTROLS.search(text):
        raise ValueError("holds a control character")
    return text


def _one_line(text: str) -> str:
    if _LINE_CONTROLS.search(text):
        raise ValueError("holds a line break or another control character")
    return text


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999 in UTC") from None


def _countable(moment: datetime) -> datetime:
    if not is_countable(moment):
        raise ValueError("is outside the years that limits are counted in")
    return moment


def _time_zone(name: str) -> str:
    if name not in time_zone_names():
        raise ValueError("is no IANA time zone, such as Europe/Paris")
    return name


def _line_endings(text: str) -> str:
    return text.replace("\r\n", "\n")


#: one line, fit for a header
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_one_line)]
#: a short code that the provider defines: a service, region or zone
Code = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/+-]*$"),
]  # fmt: skip
#: several lines
Prose = Annotated[
    str,
    AfterValidator(_line_endings),
    StringConstraints(min_length=1, max_length=20_000),
    AfterValidator(_no_controls),
]
#: a moment with its offset; a time without offset is refused, because it is ambiguous
Moment = Annotated[AwareDatetime, AfterValidator(_utc), PlainSerializer(timestamp_text, return_type=str)]

#: a moment that limits are counted from, or that people read in their time zone: the result is a moment again
CountedMoment = Annotated[Moment, AfterValidator(_countable)]

#: IANA name of a time zone
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_time_zone)]

LineText = Line | dict[Language, Line]
ProseText = Prose | dict[Language, Prose]


def localized(text: str | dict[Language, str] | None, default_language: str) -> LocalizedText | None:
    """Return free text with its language. A plain string is in the installation's default language."""
    if text is None or text == {}:
        return None
    texts = {default_language: text} if isinstance(text, str) else dict[str, str](text.items())
    return LocalizedText.of(texts)


class Schema(BaseModel):
    """Base of request schemas. Unknown fields are refused, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """Base of response schemas."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)
