"""Full-text search."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from notifications.ports import Page

#: ``effect``: what the facts of an incident state of one customer. A ``notice`` is found once it is sealed.
SearchKind = Literal["incident", "effect", "customer", "contact", "notice"]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One thing that was found."""

    kind: SearchKind
    #: of the incident, customer, contact or notice; of the incident for an ``effect``
    subject_id: UUID
    #: None where it belongs to no single customer
    customer_id: UUID | None
    at: datetime
    #: what a list shows of it: ``ticket``, ``title``, ``name``, ``email``, …, by kind
    shown: Mapping[str, Any]


class SearchRepository(Protocol):
    """The full-text index. It is written by the repositories, in the transaction that changes what is indexed."""

    def find(self, page: Page, kind: SearchKind, query: str) -> tuple[list[SearchHit], str | None]:
        """Return things of a kind that have every word of a query at the beginning of a word, newest first.

        Case, accents and ligatures do not matter. A query is words only: no sign in it has another meaning.
        """
        ...
