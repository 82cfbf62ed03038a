"""Find the releases without four eyes: in an emergency, with or without a later review, and by the last author."""

from collections.abc import Callable
from dataclasses import replace

from notifications.audit.entry import Leaf
from notifications.evidence.notification_report import Override, OverrideKind


class ReleaseReader:
    """Takes the leaves of releases and reviews, in the order of the log. ``subject``: incident or announcement.

    ``interned`` returns the one kept copy of a text, because the same text is in many leaves.
    """

    def __init__(self, subject: str, interned: Callable[[str], str]) -> None:
        self._subject, self._interned = subject, interned
        #: by notice
        self._emergencies: dict[str, Override] = {}
        self._by_one_person: list[Override] = []

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next leaf; other types are passed over."""
        notice = self._interned(leaf.subjects.get("notice", ""))
        match leaf.type:
            case "notice.released_by_override":
                # This entry follows the one of the release and has more details.
                self._emergencies[notice] = self._override(OverrideKind.UNREVIEWED, index, leaf)
            case "override.reviewed" if (released := self._emergencies.get(notice)) is not None:
                self._emergencies[notice] = replace(released, kind=OverrideKind.REVIEWED, other_index=index)
            case "notice.released" if leaf.detail.get("override") is True:
                self._emergencies[notice] = self._override(OverrideKind.UNREVIEWED, index, leaf)
            case "notice.released" if leaf.detail.get("drafted_by") == leaf.actor:
                self._by_one_person.append(self._override(OverrideKind.ONE_PERSON, index, leaf))

    def _override(self, kind: OverrideKind, index: int, leaf: Leaf) -> Override:
        rule = leaf.detail.get("rule")
        return Override(
            kind=kind,
            incident=self._interned(leaf.subjects.get(self._subject, "")),
            customer=self._interned(leaf.subjects.get("customer", "")),
            notice=self._interned(leaf.subjects.get("notice", "")),
            at=leaf.at,
            actor=self._interned(leaf.actor),
            rule=rule if isinstance(rule, str) else None,
            index=index,
            other_index=None,
        )

    @property
    def overridden(self) -> set[tuple[str, str]]:
        """Incident or announcement, and customer, of each release in an emergency."""
        return {(item.incident, item.customer) for item in self._emergencies.values()}

    @property
    def found(self) -> list[Override]:
        """Every release without four eyes."""
        return [*self._emergencies.values(), *self._by_one_person]
