"""The PDF that a mail with the whole notice carries, if the settings want it."""

import structlog

from notifications.errors import (
    LogUnavailableError,
    PdfUnavailableError,
    SealingUnavailableError,
    TimestampUnavailableError,
)
from notifications.mail.mail import rendering_for
from notifications.ports import DueDelivery
from notifications.use_cases.notices.make_pdf import make_pdf
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies

_log = structlog.get_logger(__name__)


class AttachedPdf:
    """Makes the PDF for a mail, or says in the process's log why the mail goes without one."""

    def __init__(self, sealing: SealingDependencies, max_bytes: int) -> None:
        """A PDF with more than ``max_bytes`` is not attached."""
        self._sealing, self._max_bytes = sealing, max_bytes

    async def of(self, due: DueDelivery) -> bytes | None:
        """Return the PDF with the words of the mail, or None. A mail never fails because of its PDF."""
        if due.contact is None:
            return None
        words = rendering_for(due.sealed, due.contact.language, due.contact.time_zone)
        try:
            content = await make_pdf(due.notice.id, words.language, self._sealing, words.time_zone)
        except (
            LogUnavailableError, PdfUnavailableError, SealingUnavailableError, TimestampUnavailableError,
        ) as error:  # fmt: skip
            _log.warning("pdf.not_attached", notice_id=str(due.notice.id), reason=str(error))
            return None
        except Exception as error:  # noqa: BLE001 - a defect in what makes PDFs must not keep a notice back
            _log.error("pdf.failed", notice_id=str(due.notice.id), exc_info=error)
            return None
        if len(content) > self._max_bytes:
            _log.warning("pdf.not_attached", notice_id=str(due.notice.id), reason=f"has {len(content)} bytes")
            return None
        return content
