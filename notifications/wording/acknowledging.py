"""The paragraph of a mail that asks its reader to acknowledge the notice. It is not part of the sealed notice."""

from notifications.wording.catalogues import translate
from notifications.wording.exercise import marked
from notifications.wording.formats import moment


def invitation(
    language: str,
    *,
    ticket: str,
    sequence: int | None,
    link: str,
    expires_at: str,
    wanted_by: str | None,
    time_zone: str,
    exercise: bool = False,
) -> str:
    """Return the paragraph with the link; line ends are LF.

    ``sequence`` is None where the mail names the ticket only. ``wanted_by`` and ``expires_at`` are timestamps as in
    the document; None where the customer need not acknowledge.
    """
    values = {
        "ticket": ticket,
        "sequence": sequence,
        "expires": moment(expires_at, language, time_zone),
        "time": "" if wanted_by is None else moment(wanted_by, language, time_zone),
    }

    def say(message: str) -> str:
        return translate(message, language) % values

    asked = say("Please confirm that you have this notice. Opening the page confirms nothing; the button on it does:")
    wanted = say(
        "Your organisation wants to have acknowledged by %(time)s. If nobody does, we turn to its other contacts, and"
        " call."
    )
    if sequence is None:
        title = say("Acknowledge receipt of %(ticket)s")
    else:
        title = say("Acknowledge receipt of %(ticket)s, number %(sequence)s")
    parts = (
        marked(title, language) if exercise else title,
        f"{asked}\n{link}",
        *([] if wanted_by is None else [wanted]),
        say(
            "The link is for you alone: whoever presses its button confirms in your name. It works once, until"
            " %(expires)s. This paragraph belongs to the mail and is no part of the sealed notice."
        ),
    )
    return "\n\n".join(parts) + "\n"
