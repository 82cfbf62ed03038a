"""The notice: one document per (incident, customer, sequence) in canonical JSON, and its text in each language."""

from notifications.notice.composition import ComposedNotice, compose_notice
from notifications.notice.document import SCHEMA, Provider
from notifications.notice.life import Notice, NoticeKind, NoticeState
from notifications.wording import Rendered

__all__ = [
    "SCHEMA",
    "ComposedNotice",
    "Notice",
    "NoticeKind",
    "NoticeState",
    "Provider",
    "Rendered",
    "compose_notice",
]
