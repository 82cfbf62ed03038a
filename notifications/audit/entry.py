"""An audit entry: canonical leaf bytes; commitments instead of personal data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens one commitment: the salt and the value. Kept beside the log, erasable; the leaf holds the digest."""

    #: name of the commitment in the leaf, such as ``document``
    name: str
    #: 32 random bytes
    salt: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act, before it is sequenced.

    ``detail`` holds codes, numbers and times only: it stays readable for ever. Whatever may be personal (names,
    addresses, free text) goes into ``openings``, of which the leaf holds salted digests.
    """

    id: UUID
    #: ``noun.verb_past``, such as ``notice.sealed``
    type: str
    at: datetime
    #: who acted: ``<kind>:<opaque id>``, such as ``token:interim`` or ``system:worker``; never a name
    actor: str
    #: what it concerns: kind (``incident``, ``customer``, ``notice``, ``contact``, ``delivery``) to opaque id;
    #: a customer is named by its pseudonym (see ``pseudonym``)
    subjects: Mapping[str, str] = field(default_factory=dict)
    detail: Mapping[str, str | int | bool | None | list[str]] = field(default_factory=dict)
    openings: tuple[Opening, ...] = ()
