"""The text of a mail without the notice: there is one, and where to read it.

A summary contains no fact of the incident. A contact may choose less: the ticket number, with or without criticality.
"""

from collections.abc import Callable, Mapping

from notifications.wording.catalogues import translate
from notifications.wording.exercise import marked
from notifications.wording.formats import moment
from notifications.wording.vocabulary import due_words, words


def subject(language: str, *, ticket: str, sequence: int, kind: str, tlp: str, exercise: bool = False) -> str:
    """Return the subject line; it contains no fact of the incident."""
    values = {"tlp": tlp, "ticket": ticket, "sequence": sequence, "kind": words(f"kind.{kind}", language)}

    def say(message: str) -> str:
        return translate(message, language) % values

    line = say("[%(tlp)s] %(ticket)s #%(sequence)s — %(kind)s")
    return marked(line, language) if exercise else line


def text(
    language: str,
    *,
    ticket: str,
    sequence: int,
    kind: str,
    tlp: str,
    digest: str,
    reason: str,
    provider: str,
    contact: str,
    console_url: str | None,
    due: Mapping[str, str] | None,
    time_zone: str,
    exercise: bool = False,
) -> str:
    """Return the body; line ends are LF.

    ``reason`` is a ``FormReason`` value, ``contact`` the provider's contact point as text, ``due`` as in the document.
    """
    values = {"provider": provider, "ticket": ticket, "sequence": sequence, "contact": contact, "digest": digest}
    if due is not None:
        values |= {"time": moment(due["at"], language, time_zone), "kind": due_words(due, language)}
    kind_words, tlp_words = words(f"kind.{kind}", language), words(f"tlp.{tlp}", language)

    def say(message: str) -> str:
        return translate(message, language) % values

    where = _where(language, contact, console_url)
    said = say("%(provider)s has a notice for you: %(ticket)s, number %(sequence)s.")
    compared = say("SHA-256 of the signed document (notice.json), to compare:")
    parts = (
        *([marked(words("exercise.explained", language), language)] if exercise else []),
        f"{said}\n{kind_words} — {tlp}: {tlp_words}",
        *([] if due is None else [say("This notice is due: %(time)s — %(kind)s.")]),
        where,
        words(f"form.{reason}", language),
        f"{compared}\n{digest}",
    )
    return "\n\n".join(parts) + "\n"


def criticality(language: str, level: str | None, text: str | None) -> str:
    """Return the line with the criticality: its level and the agreement's words for it. None: it is not stated."""
    say = _sayer(language)
    stated = say("not stated") if level is None else level if text is None else f"{level} — {text}"
    return say("Criticality: %(level)s", level=stated)


def ticket_subject(language: str, *, ticket: str, provider: str, exercise: bool = False) -> str:
    """Return the subject line of a mail that names the ticket only."""
    say = _sayer(language)
    line = say("%(provider)s: %(ticket)s", provider=provider, ticket=ticket)
    return marked(line, language) if exercise else line


def ticket_text(
    language: str,
    *,
    ticket: str,
    criticality: str | None,
    provider: str,
    contact: str,
    console_url: str | None,
    exercise: bool = False,
) -> str:
    """Return the body of a mail that names the ticket, and the criticality if there is one; line ends are LF."""
    say = _sayer(language)
    parts = (
        *([marked(words("exercise.explained", language), language)] if exercise else []),
        say("%(provider)s has a notice for you: %(ticket)s.", provider=provider, ticket=ticket),
        *([] if criticality is None else [criticality]),
        _where(language, contact, console_url),
    )
    return "\n\n".join(parts) + "\n"


def _where(language: str, contact: str, console_url: str | None) -> str:
    say = _sayer(language)
    if console_url is not None:
        return say("Read it in the customer console:") + f"\n{console_url}"
    return say("Ask us for it: %(contact)s", contact=contact)


def _sayer(language: str) -> Callable[..., str]:
    def say(message: str, **values: object) -> str:
        return translate(message, language) % values

    return say
