"""The decision per customer: notify or not, why, and by when. It follows from facts and levels.

``decider`` decides about incidents and computes their deadlines; ``announced`` does so for announcements.
"""

from notifications.decision.decider import Decider, decide, target_seconds
from notifications.decision.judgement import MESSAGE_IDS
from notifications.decision.result import Decision, DueKind, Reason, Verdict, binding_of, carrying, without_consent

__all__ = [
    "MESSAGE_IDS",
    "Decider",
    "Decision",
    "DueKind",
    "Reason",
    "Verdict",
    "binding_of",
    "carrying",
    "decide",
    "target_seconds",
    "without_consent",
]
