"""The texts of alerts in French, English and German: ticket, count and deadline; no fact of an incident."""

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from notifications.agreement import DeadlineBinding
from notifications.wording.exercise import marked

#: kind -> language -> subject, what, advice
_WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    (files(__package__) / "alert_wording.toml").read_text(encoding="utf-8")
)
_LABELS = {"fr": ("Échéance : ", "Console : "), "en": ("Deadline: ", "Console: "), "de": ("Frist: ", "Konsole: ")}
#: How strictly the deadline of a notice binds. The strictest is said where several notices are meant.
_BINDINGS = {
    "fr": {
        DeadlineBinding.HARD: "limite ferme de la convention",
        DeadlineBinding.SOFT: "délai de la convention, à respecter si possible",
        DeadlineBinding.NO_NUMBER: "objectif interne, pas une échéance de la convention",
    },
    "en": {
        DeadlineBinding.HARD: "hard limit of the agreement",
        DeadlineBinding.SOFT: "time of the agreement, to meet where possible",
        DeadlineBinding.NO_NUMBER: "internal target, no deadline of the agreement",
    },
    "de": {
        DeadlineBinding.HARD: "feste Frist der Vereinbarung",
        DeadlineBinding.SOFT: "Zeit der Vereinbarung, soweit möglich einzuhalten",
        DeadlineBinding.NO_NUMBER: "internes Ziel, keine Frist der Vereinbarung",
    },
}

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
    binding: DeadlineBinding | None = None,
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
        said = "" if binding is None else f" ({_BINDINGS[language][binding]})"
        lines += ["", f"{due}{due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC{said}"]
    if url is not None:
        lines += ["", f"{console}{url}"]
    return AlertWords(language, subject, "\n".join(lines) + "\n")
