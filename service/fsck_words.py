"""What a check of the whole log compares, step by step, and what it says of a difference."""

from dataclasses import dataclass

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
