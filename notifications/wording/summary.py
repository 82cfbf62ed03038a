"""The text of a summary mail: there is a notice, and where to read it. It contains no fact of the incident."""

from collections.abc import Mapping

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

    where = (
        say("Read it in the customer console:") + f"\n{console_url}"
        if console_url is not None
        else say("Ask us for it: %(contact)s")
    )
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
