"""What the answer of a mail server or of a webhook's receiver means, as a key of the words of the pages.

The answer itself is in the words of the other side, in whatever language it speaks.
"""

from notifications.delivery.delivery import ChannelKind, Outcome, OutcomeKind
from service.web.console.catalogues import has_text

#: SMTP codes without an enhanced status -> subject and detail of the one with the same meaning (RFC 5321, 4.2.3;
#: RFC 4954, 4). 450 and 550 are left out: each has many possible reasons.
_BASIC = {
    421: "3_2", 451: "3_0", 452: "3_1", 455: "5_0", 500: "5_0", 501: "5_0", 502: "5_0", 503: "5_0", 504: "5_0",
    521: "3_2", 530: "7_0", 534: "7_8", 535: "7_8", 538: "7_8", 551: "1_6", 552: "2_2", 553: "1_3", 555: "5_0",
    556: "1_10",
}  # fmt: skip
#: HTTP statuses with words of their own
_HTTP = frozenset({401, 403, 404, 410, 413, 429})
_HTTP_ERRORS, _SERVER_ERRORS = 400, 500


def meaning_of(channel: str, outcome: Outcome) -> str | None:
    """Return the key of the words for an attempt's answer; None for the console, where nobody answers."""
    if channel == ChannelKind.CONSOLE:
        return None
    if outcome.kind is OutcomeKind.ACCEPTED:
        return f"answer.accepted_{channel}"
    if outcome.code is None:
        return "answer.not_sent" if outcome.kind is OutcomeKind.REFUSED_HERE else "answer.no_answer"
    if channel == ChannelKind.EMAIL:
        return meaning_of_status(outcome.enhanced_status or _status_of(outcome.code))
    if outcome.code in _HTTP:
        return f"answer.http.{outcome.code}"
    if outcome.code >= _SERVER_ERRORS:
        return "answer.http.server_error"
    return "answer.http.other_refusal" if outcome.code >= _HTTP_ERRORS else "answer.http.no_success"


def meaning_of_status(status: str | None) -> str | None:
    """Return the key of the words for an enhanced status such as ``5.1.1`` (RFC 3463), the class left out.

    A detail that has no words has those of its subject, an unknown subject those of a refusal. None for no status and
    for a success.
    """
    if status is None or status.startswith("2"):
        return None
    _, subject, detail = status.split(".")
    keys = (f"answer.status.{subject}_{detail}", f"answer.status.{subject}_0", "answer.status.0_0")
    return next(key for key in keys if has_text(key, "en"))


def _status_of(code: int) -> str:
    return f"{code // 100}.{_BASIC.get(code, '0_0').replace('_', '.')}"
