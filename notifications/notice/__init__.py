"""The notice: one document per (incident, customer, sequence) in canonical JSON, and its text in each language."""

from notifications.notice.announcement import ANNOUNCEMENT_SCHEMA, compose_announcement
from notifications.notice.composition import compose_notice
from notifications.notice.document import SCHEMA, Provider
from notifications.notice.life import Notice, NoticeKind, NoticeState
from notifications.notice.rendered import ComposedNotice
from notifications.wording import Rendered

__all__ = [
    "ANNOUNCEMENT_SCHEMA",
    "SCHEMA",
    "ComposedNotice",
    "Notice",
    "NoticeKind",
    "NoticeState",
    "Provider",
    "Rendered",
    "compose_announcement",
    "compose_notice",
]
