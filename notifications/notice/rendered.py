"""Render a document in each language, and put the digests of the renderings into it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notifications.canonical_json import canonicalize
from notifications.notice.document import SHARED_TIMESTAMP
from notifications.wording import Rendered, render


@dataclass(frozen=True, slots=True)
class ComposedNotice:
    """A notice before it is sealed."""

    #: canonical JSON (RFC 8785)
    document: bytes
    #: by language, in the customer's time zone
    rendered: Mapping[str, Rendered]
    #: by language and time zone, for contacts whose time zone is not the customer's
    zoned: Mapping[tuple[str, str], Rendered]
    #: all affected resources, if there are more than the document lists; else None
    resources_csv: bytes | None
    #: its timestamp is to be one over a checkpoint of the log, as the document says
    shares_timestamp: bool = False


def rendered_document(
    document: dict[str, Any],
    languages: Sequence[str],
    zones: Sequence[tuple[str, str]],
    resources_csv: bytes | None,
) -> ComposedNotice:
    """Return the notice of a document that lacks only its ``renderings``, which are added to it.

    ``zones``: the languages and time zones of contacts whose time zone is not the customer's. Raises InvalidInputError
    for text that is not valid Unicode.
    """
    rendered = {language: render(document, language) for language in sorted(set(languages))}
    zoned = {(language, zone): render(document, language, zone) for language, zone in sorted(set(zones))}
    by_reader = [((language, None), words) for language, words in rendered.items()]
    document["renderings"] = [
        _digest(language, zone, media_type, body)
        for (language, zone), words in (*by_reader, *zoned.items())
        for media_type, body in (("text/html", words.html), ("text/plain", words.text))
    ]
    shares_timestamp = document["timestamping"] == SHARED_TIMESTAMP
    return ComposedNotice(canonicalize(document), rendered, zoned, resources_csv, shares_timestamp)


def _digest(language: str, time_zone: str | None, media_type: str, body: str) -> dict[str, Any]:
    digest = {
        "language": language,
        "media_type": media_type,
        "sha256": hashlib.sha256(body.encode("utf-8")).hexdigest(),
    }
    return digest if time_zone is None else digest | {"time_zone": time_zone}
