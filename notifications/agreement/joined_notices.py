"""joined_notice(own, of_dpa, fail): what the agreement and the DPA say of one kind of notice, as one kind."""

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn, TypeVar

from notifications.agreement.commitments import NoticeItem, NoticeKind, NoticeTime
from notifications.agreement.terms import CLAUSE_SEPARATOR

PartT = TypeVar("PartT", NoticeItem, NoticeTime)


def joined_notice(own: NoticeKind, of_dpa: NoticeKind, fail: Callable[[str], NoReturn]) -> NoticeKind:
    """Return the agreement's kind with what the DPA adds to it; each item and each time names its clause.

    Title, channels and the words of an item are the agreement's. An item that one of them asks for is asked for, and
    so is consent. Both times are kept; ``decision.announced`` finds the stricter. ``fail`` is called with the reason if
    the two cannot be joined.
    """
    if own.erased_within_days is not None and (of_dpa.lead or of_dpa.after):
        fail("the days of the notice that precedes an erasure are the agreement's, and the DPA sets a time too")
    if (own.lead and of_dpa.after) or (own.after and of_dpa.lead):
        fail("one of agreement and DPA asks for it before an event, and the other one after it")
    own_time, dpa_time = _cited(own.lead or own.after, own), _cited(of_dpa.lead or of_dpa.after, of_dpa)
    time = own_time or dpa_time
    items = {item.id: replace(item, clause=item.clause or own.clause) for item in own.items}
    for item in of_dpa.items:
        clause, same = item.clause or of_dpa.clause, items.get(item.id)
        items[item.id] = (
            replace(item, clause=clause)
            if same is None
            else replace(same, mandatory=same.mandatory or item.mandatory, clause=_both(same.clause, clause))
        )
    return replace(
        own,
        clause=_both(own.clause, of_dpa.clause),
        items=tuple(items.values()),
        lead=time if own.lead or of_dpa.lead else None,
        after=time if own.after or of_dpa.after else None,
        consent_first=own.consent_first or of_dpa.consent_first,
        dpa_time=None if own_time is None else dpa_time,
    )


def _both(own: str | None, of_dpa: str) -> str:
    return f"{own}{CLAUSE_SEPARATOR}{of_dpa}"


def _cited(time: NoticeTime | None, of: NoticeKind) -> NoticeTime | None:
    return None if time is None else replace(time, clause=time.clause or of.clause)
