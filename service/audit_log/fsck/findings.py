"""What a check of the whole log compares, step by step, and what it says of a difference."""

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

#: In the order in which they are told.
STEPS = (
    GUARDS, ENTRIES, TREE, CHECKPOINTS, PUBLISHED, HEAD_TIMESTAMPS, COSIGNATURES, OPENINGS, ERASURES, SUBJECTS, FACTS,
    DECISIONS, SEALS, TIMESTAMPS, PROOFS, ATTEMPTS, MAILS, ACKNOWLEDGEMENTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the database is not what the log says, or the log not what its key signed."""

    step: str
    #: what differs: an index, a node, a row
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.step}: {self.where} {self.what}"


@dataclass(slots=True)
class RangeFound:
    """What the check of one range found."""

    start: int
    end: int
    #: the first position of the range and its last
    positions: tuple[int, int] = (0, 0)
    #: the first of each step; the check of a step ends there
    differences: list[Difference] = field(default_factory=list)
    #: entries are missing or out of order: nothing else could be compared
    broken: bool = False
    #: root of the range where it is a whole one
    root: bytes | None = None
    #: of each checkpoint in the range: its size, the root it states, and what the range brings to that root
    parts: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    #: what finds the entries, as a sum of hashes of this process and of those it was forked from
    subjects: int = 0
    #: openings and rows that are gone, by whose they were: their number, the first and the last index
    erased: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    #: whose data the log says was erased, and the index that says so
    said_erased: dict[str, int] = field(default_factory=dict)
    #: of each customer with a formal notice of its erasure: when it was served; and erasures: index, whose, when
    noticed: dict[str, datetime] = field(default_factory=dict)
    erasures: list[tuple[int, str, datetime]] = field(default_factory=list)
    #: rows that were compared, by the step
    counts: dict[str, int] = field(default_factory=dict)

    def differs(self, step: str, where: str, what: str) -> None:
        """Note a difference, unless one of this step is known."""
        if not self.is_known(step):
            self.differences.append(Difference(step, where, what))

    def is_known(self, step: str) -> bool:
        """Whether a difference of a step was noted."""
        return any(known.step == step for known in self.differences)

    def count(self, step: str, number: int = 1) -> None:
        """Count what was compared."""
        self.counts[step] = self.counts.get(step, 0) + number
