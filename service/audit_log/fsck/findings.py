"""The steps of a check of the whole log, and the differences that it reports."""

from dataclasses import dataclass, field
from datetime import datetime

GUARDS = "append-only rules"
ENTRIES = "entries"
OPENINGS = "openings"
TREE = "tree"
CHECKPOINTS = "checkpoints"
PUBLISHED = "published head"
SUBJECTS = "subjects"
SEALS = "sealed notices"
TIMESTAMPS = "timestamps"
PROOFS = "log proofs"
ATTEMPTS = "delivery attempts"
MAILS = "mails as sent"
ERASURES = "erasures"
HEAD_TIMESTAMPS = "head timestamps"
COSIGNATURES = "cosignatures"
FACTS = "facts of incidents"
DECISIONS = "decisions"
ACKNOWLEDGEMENTS = "acknowledgements"

#: In the order of the report.
STEPS = (
    GUARDS, ENTRIES, TREE, CHECKPOINTS, PUBLISHED, HEAD_TIMESTAMPS, COSIGNATURES, OPENINGS, ERASURES, SUBJECTS, FACTS,
    DECISIONS, SEALS, TIMESTAMPS, PROOFS, ATTEMPTS, MAILS, ACKNOWLEDGEMENTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the database differs from the log, or the log from what its key signed."""

    step: str
    #: the index, the node or the row that differs
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.step}: {self.where} {self.what}"


@dataclass(slots=True)
class RangeFound:
    """The result of checking one range."""

    start: int
    end: int
    #: the first and the last position of the range
    positions: tuple[int, int] = (0, 0)
    #: the first difference of each step; the check of a step ends there
    differences: list[Difference] = field(default_factory=list)
    #: whether entries are missing or out of order; nothing else was compared then
    broken: bool = False
    #: root of the range if it is complete
    root: bytes | None = None
    #: (size, stated root, part of the root that the range gives) of each checkpoint in the range
    parts: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    #: sum of the hashes of the subjects; equal only within one process and its forks
    subjects: int = 0
    #: missing openings and rows by owner: their number, their first and their last index
    erased: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    #: owners whose data was erased according to the log, and the index of that entry
    said_erased: dict[str, int] = field(default_factory=dict)
    #: when the formal notice of the erasure was served, and its days, by customer; erasures: (index, customer, time)
    noticed: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    erasures: list[tuple[int, str, datetime]] = field(default_factory=list)
    #: number of rows that were compared, by step
    counts: dict[str, int] = field(default_factory=dict)

    def differs(self, step: str, where: str, what: str) -> None:
        """Record a difference, unless this step already has one."""
        if not self.is_known(step):
            self.differences.append(Difference(step, where, what))

    def is_known(self, step: str) -> bool:
        """Return whether a step already has a difference."""
        return any(known.step == step for known in self.differences)

    def count(self, step: str, number: int = 1) -> None:
        """Count compared records of a step."""
        self.counts[step] = self.counts.get(step, 0) + number
