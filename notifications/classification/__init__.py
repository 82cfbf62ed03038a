"""Classification of facts by an agreement: nature, legal basis clause by clause, priority, open questions."""

from notifications.classification.classifier import MESSAGE_IDS, classify
from notifications.classification.excerpt import excerpt_of
from notifications.classification.result import (
    AnswerEffect,
    Classification,
    Ground,
    Nature,
    OpenQuestion,
)

__all__ = [
    "MESSAGE_IDS",
    "AnswerEffect",
    "Classification",
    "Ground",
    "Nature",
    "OpenQuestion",
    "classify",
    "excerpt_of",
]
