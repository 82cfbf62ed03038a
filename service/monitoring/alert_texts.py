"""The texts of alerts in French, English and German: ticket, count and deadline; no fact of an incident."""

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from notifications.wording.exercise import marked

#: kind -> language -> subject, what, advice
_WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    (files(__package__) / "alert_wording.toml").read_text(encoding="utf-8")
)
_LABELS = {"fr": ("Échéance : ", "Console : "), "en": ("Deadline: ", "Console: "), "de": ("Frist: ", "Konsole: ")}

KINDS = frozenset(_WORDS)


@dataclass(frozen=True, slots=True)
class AlertWords:
    """The text of an alert in a mail."""

    language: str
    subject: str
    text: str


def alert_mail(
    kind: str,
    language: str,
    *,
    ticket: str,
    count: int,
    due_at: datetime | None,
    url: str | None,
    exercise: bool = False,
) -> AlertWords:
    """Return the text of an alert; in English if the language has no texts. Raises KeyError for an unknown kind."""
    language = language if language in _LABELS else "en"
    subject, what, advice = (
        _WORDS[kind][language][part].format(ticket=ticket, count=count) for part in ("subject", "what", "advice")
    )
    if exercise:
        subject, what = marked(subject, language), marked(what, language)
    due, console = _LABELS[language]
    lines = [what, "", advice]
    if due_at is not None:
        lines += ["", f"{due}{due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"]
    if url is not None:
        lines += ["", f"{console}{url}"]
    return AlertWords(language, subject, "\n".join(lines) + "\n")
