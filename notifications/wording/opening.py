"""The first screen of a notice: what a reader must know without scrolling."""

from collections.abc import Mapping
from typing import Any

from notifications.wording.announcement import announcement_heading, announcement_opening
from notifications.wording.letter import Block, Paragraph, Phrase, Remark, Rows
from notifications.wording.reader import Reader

SUBJECT_MAX_CHARACTERS = 199
#: Security properties in the order of display.
PROPERTIES = ("availability", "integrity", "confidentiality", "traceability")
_ADVICE_MAX_CHARACTERS = 240


def subject(reader: Reader) -> str:
    """Return the subject line: mark of an exercise, TLP label, ticket, sequence, kind, title; under 200 characters."""
    document = reader.document
    line = reader.say(
        "[%(tlp)s] %(ticket)s #%(sequence)s — %(kind)s: %(title)s",
        tlp=document["tlp"],
        ticket=reader.name(document["ticket"]),
        sequence=document["sequence"],
        kind=_kind(reader),
        title=reader.phrase(document["title"]).text,
    )
    return _shortened(reader.heading(line), SUBJECT_MAX_CHARACTERS)


def _kind(reader: Reader) -> str:
    if "announcement" in reader.document:
        return announcement_heading(reader)
    return reader.words(f"kind.{reader.document['kind']}")


def heading(reader: Reader) -> str:
    """Return the kind of the notice and the nature of the event."""
    if "announcement" in reader.document:
        return announcement_heading(reader)
    classification = reader.document["classification"]
    kind = reader.words(f"kind.{reader.document['kind']}")
    nature = reader.words(f"nature.{classification['nature']}")
    if classification["provisional"]:
        return reader.heading(reader.say("%(kind)s: %(nature)s (provisional)", kind=kind, nature=nature))
    return reader.heading(reader.say("%(kind)s: %(nature)s", kind=kind, nature=nature))


def opening(reader: Reader) -> tuple[Block, ...]:
    """Return the first screen."""
    if "announcement" in reader.document:
        return announcement_opening(reader)
    say, document = reader.say, reader.document
    rows = [
        (say("From"), Phrase(reader.name(document["provider"]["name"]))),
        (say("To"), Phrase(reader.name(document["customer"]["name"]))),
        (say("Ticket"), Phrase(_ticket(reader))),
        (say("Marking"), Phrase(f"{document['tlp']} — {reader.words('tlp.' + document['tlp'])}")),
        (say("What happened"), reader.phrase(document["title"])),
        (say("Are you affected"), Phrase(affected(reader))),
    ]
    personal_data = document["personal_data"]
    if personal_data is not None:
        rows.append((say("Personal-data breach"), Phrase(reader.words(f"breach.{personal_data['breach']}"))))
    rows.append((say("What you should do"), _advice(reader)))
    if personal_data is not None and personal_data["controller"] != "provider":
        # The customer is the controller, or may be. The first screen must not read as if the law required nothing.
        rows.append(
            (say("Your own deadlines"), Phrase(say("may run, such as the 72 hours of GDPR article 33; see below")))
        )
    rows += [
        (say("We became aware"), Phrase(reader.when(document["times"]["aware_at"]))),
        (say("Next update"), Phrase(_next_update(reader))),
    ]
    blocks: list[Block] = [Paragraph(_first_sentence(reader)), Rows(tuple(rows))]
    if reader.exercise:
        blocks.insert(0, Remark(reader.heading(reader.words("exercise.explained"))))
    if document["classification"]["provisional"]:
        blocks.append(Remark(say("This assessment is provisional: facts that are not known yet can still change it.")))
    return tuple(blocks)


def affected(reader: Reader) -> str:
    """Return whether the customer is affected, and which properties of its data are harmed."""
    say, effect = reader.say, reader.document["effect"]
    sentence = {
        "yes": say("Yes, your use of the service is affected."),
        "no": say("No, your use of the service is not affected."),
        "unknown": say("Not known yet; we tell you as soon as it is."),
    }[effect["affected"]]
    harmed = [name for name, answer in effect["data_harm"].items() if answer == "yes"]
    data = say("Your data is not harmed.")
    if harmed:
        data = say("Your data is harmed: %(properties)s.", properties=properties(reader, harmed))
    elif "unknown" in effect["data_harm"].values():
        data = say("Whether your data is harmed is not fully known yet.")
    return f"{sentence} {data}"


def properties(reader: Reader, names: list[str]) -> str:
    """Return security properties in words, in the order of ``PROPERTIES`` and not of the document's keys."""
    return ", ".join(reader.words(f"property.{name}") for name in sorted(names, key=PROPERTIES.index))


def _first_sentence(reader: Reader) -> str:
    say, document = reader.say, reader.document
    earlier: Mapping[str, Any] | None = document["supersedes"]
    kind, sequence = document["kind"], None if earlier is None else earlier["sequence"]
    if kind == "correction" and sequence is not None:
        return say(
            "Part of what notice no. %(sequence)s told you was not right. This notice corrects it and replaces that"
            " notice; what was wrong is stated first.",
            sequence=sequence,
        )
    if kind == "correction":
        return say("Part of what we told you before was not right. This notice corrects it.")
    if kind == "final" and sequence is not None:
        return say(
            "The incident is closed. This is our final notice on it; it replaces notice no. %(sequence)s.",
            sequence=sequence,
        )
    if kind == "final":
        return say("The incident is closed. This is our final notice on it.")
    if kind == "update" and sequence is not None:
        return say(
            "There is news about the incident. This notice replaces notice no. %(sequence)s; what has changed is stated"
            " first.",
            sequence=sequence,
        )
    if kind == "update":
        return say("There is news about an incident that we told you of before.")
    return say(
        "We inform you of the following incident, as our agreement with you provides. This is our first notice on it."
    )


def _ticket(reader: Reader) -> str:
    document = reader.document
    return reader.say(
        "%(ticket)s, notice no. %(sequence)s", ticket=reader.name(document["ticket"]), sequence=document["sequence"]
    )


def _advice(reader: Reader) -> Phrase:
    recommendations = reader.document["recommendations"]
    if recommendations is None:
        return Phrase(reader.say("We have no recommendation to you at this time."))
    quote = reader.quote(recommendations)
    first = next((line.strip() for line in quote.lines if line.strip()), "")
    text = _shortened(first, _ADVICE_MAX_CHARACTERS)
    if text != first or sum(bool(line.strip()) for line in quote.lines) > 1:
        text = reader.say("%(advice)s (in full below)", advice=text)
    return Phrase(text, quote.language, quote.language_note)


def _next_update(reader: Reader) -> str:
    document = reader.document
    if document["next_update_by"] is not None:
        return reader.say("by %(time)s at the latest", time=reader.when(document["next_update_by"]))
    if document["kind"] == "final":
        return reader.say("none is planned: the incident is closed")
    return reader.say("as soon as there is news")


def _shortened(text: str, max_characters: int) -> str:
    return text if len(text) <= max_characters else f"{text[: max_characters - 1].rstrip()}…"
