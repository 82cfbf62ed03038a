"""Legal duties to report: the law as data, and the clocks that follow from it.

Pure: every moment is an argument. The data says from when each duty holds; nothing in code knows one by name.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

from notifications.duties.clocks import (
    Clock,
    ClockState,
    Moments,
    Step,
    StepKind,
    clocks,
    duration_for,
    is_countable,
)
from notifications.duties.entities import applies_to, depends_on_more, sectors_and_groups, validate_entity
from notifications.duties.parsing import parse_act, parse_sectors
from notifications.duties.terms import (
    Act,
    Calendar,
    Counted,
    Duration,
    Duty,
    Handling,
    Item,
    Law,
    Occasion,
    Owner,
    SecondLimit,
    Sector,
    Start,
    Variant,
)
from notifications.duties.working_days import MEMBER_STATES, regions
from notifications.errors import AgreementError

__all__ = [
    "MEMBER_STATES", "Act", "Calendar", "Clock", "ClockState", "Counted", "Duration", "Duty", "Handling", "Item",
    "Law", "Moments", "Occasion", "Owner", "SecondLimit", "Sector", "Start", "Step", "StepKind", "Variant",
    "applies_to", "bundled_law", "clocks", "depends_on_more", "duration_for", "is_countable", "parse_act", "parse_law",
    "parse_sectors", "regions", "sectors_and_groups", "validate_entity",
]  # fmt: skip

#: The file of the kinds of organisations, and those that are no acts.
_SECTORS, _NOT_ACTS = "sectors.toml", frozenset({"sectors.toml", "significance.toml", "dora_report.toml"})


def parse_law(files: Mapping[str, bytes], sectors: Mapping[str, Sector], others: Iterable[Act] = ()) -> Law:
    """Return the acts in some files, by name, and the other acts that none of them replaces by its id.

    Raises AgreementError on the first fault, also for an act or a duty that is there twice.
    """
    acts: dict[str, Act] = {}
    files_of: dict[str, str] = {}
    for name, data in sorted(files.items()):
        act = parse_act(data, name, sectors)
        if act.id in acts:
            raise AgreementError(name, "id", f"{act.id!r} is also the id in {files_of[act.id]}")
        acts[act.id], files_of[act.id] = act, name
    kept = [act for act in others if act.id not in acts]
    owner_of = {duty.id: act.id for act in kept for duty in act.duties}
    for act in acts.values():
        for duty in act.duties:
            if owner_of.setdefault(duty.id, act.id) != act.id:
                raise AgreementError(files_of[act.id], "duties", f"{duty.id!r} is also a duty of {owner_of[duty.id]!r}")
    return Law((*acts.values(), *kept), sectors)


@cache
def bundled_law() -> Law:
    """Return the law that is part of the product; raises AgreementError if a file is not valid."""
    folder = resources.files(__package__)
    sectors = parse_sectors(folder.joinpath(_SECTORS).read_bytes(), _SECTORS)
    files = {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if entry.name.endswith(".toml") and entry.name not in _NOT_ACTS
    }
    return parse_law(files, sectors)
