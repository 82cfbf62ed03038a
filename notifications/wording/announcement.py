"""The words of a notice that is about no incident: what is announced, its items, and the clause that it rests on."""

from typing import Any

from notifications.wording.letter import Block, Paragraph, Phrase, Remark, Rows, Section
from notifications.wording.reader import Reader


def announcement_heading(reader: Reader) -> str:
    """Return the kind of the notice, as the agreement names it."""
    said = reader.document["announcement"]
    if said["cancelled"]:
        return reader.say("%(kind)s: cancelled", kind=reader.contract(said["title"]))
    return reader.contract(said["title"])


def announcement_opening(reader: Reader) -> tuple[Block, ...]:
    """Return the first screen."""
    say, document = reader.say, reader.document
    said = document["announcement"]
    ticket = say("%(ticket)s, notice no. %(sequence)s", ticket=document["ticket"], sequence=document["sequence"])
    rows = [
        (say("From"), Phrase(reader.name(document["provider"]["name"]))),
        (say("To"), Phrase(reader.name(document["customer"]["name"]))),
        (say("Ticket"), Phrase(ticket)),
        (say("Marking"), Phrase(f"{document['tlp']} — {reader.words('tlp.' + document['tlp'])}")),
        (say("Subject"), reader.phrase(document["title"])),
        (_occurs(reader), Phrase(reader.when(said["occurs_at"]))),
    ]
    if said["ends_at"] is not None:
        rows.append((say("Ends"), Phrase(reader.when(said["ends_at"]))))
    blocks: list[Block] = [Paragraph(_first_sentence(reader)), Rows(tuple(rows))]
    if said["cancelled"]:
        blocks.append(Remark(say("What we announced does not take place.")))
    elif said["consent_first"]:
        blocks.append(
            Remark(say("We need your written consent first. Please accept or refuse in your customer interface."))
        )
    if said["moved_from"] is not None:
        blocks.append(
            Remark(say("The time has changed. Before, it was %(time)s.", time=reader.when(said["moved_from"])))
        )
    return tuple(blocks)


def announcement_sections(reader: Reader) -> tuple[Section, ...]:
    """Return the sections of what is announced, and of why the customer gets it."""
    say, said = reader.say, reader.document["announcement"]
    blocks: list[Block] = [reader.quote(said["text"])]
    for item in said["items"]:
        # Of a document of the customer's that is not the one of the kind itself, such as the DPA.
        clause = None if item.get("clause") == said["clause"] else item.get("clause")
        label = reader.with_clause(reader.contract(item["label"]), clause)
        blocks += [Paragraph(label, strong=True), reader.quote(item["text"])]
    rows = [
        (label, Phrase(reader.names(said[key])))
        for label, key in ((say("Services affected"), "services"), (say("Regions affected"), "regions"))
        if said[key]
    ]
    if rows:
        blocks.append(Rows(tuple(rows)))
    sections = Section(say("What we announce"), tuple(blocks)), _why(reader)
    return sections if "erasure" not in said else (*sections, _certificate(reader))


def _occurs(reader: Reader) -> str:
    return (
        reader.say("Happened") if reader.document["announcement"]["reports"] else reader.say("Begins or takes effect")
    )


def _first_sentence(reader: Reader) -> str:
    earlier, kind = reader.document["supersedes"], reader.document["kind"]
    if earlier is not None:
        return reader.say("This notice replaces notice no. %(sequence)s.", sequence=earlier["sequence"])
    if kind == "initial":
        return reader.say("We inform you of the following, as our agreement with you provides.")
    return reader.say("There is news about what we announced to you before.")


def _why(reader: Reader) -> Section:
    say, document = reader.say, reader.document
    said, due = document["announcement"], document["due"]
    reason = say(
        "By the agreement “%(title)s” we owe you this notice.", title=reader.contract(document["agreement"]["title"])
    )
    blocks: list[Block] = [Paragraph(reader.with_clause(reason, said["clause"]))]
    stated = said["lead"] or said["after"]
    if stated is not None:
        # Documents of earlier releases have no clause here.
        blocks.append(Paragraph(reader.with_clause(_time(reader, stated), stated.get("clause"))))
    if due["binding"] == "hard" and document["issued_at"] > due["at"] and document["sequence"] == 1:
        blocks.append(Remark(say("This notice is late: it is issued after this limit.")))
    if due["binding"] == "soft" and document["issued_at"] > due["at"] and document["sequence"] == 1:
        blocks.append(Paragraph(say("This notice is issued after the time aimed at.")))
    if "registered_letter" in said["channels"]:
        blocks.append(Paragraph(say("This notice also comes to you as a registered letter.")))
    return Section(say("Why you are told"), tuple(blocks))


def _certificate(reader: Reader) -> Section:
    """Say how the customer shows, after the erasure, which certificate and which entries of the log are its own."""
    say, named = reader.say, reader.document["announcement"]["erasure"]
    rows = (
        (say("Pseudonym"), Phrase(named["pseudonym"])),
        (say("Identifier"), Phrase(reader.document["customer"]["id"])),
        (say("Salt"), Phrase(named["salt"])),
    )
    blocks = (
        Paragraph(say("After the erasure, the audit log and the certificate name you by a pseudonym only.")),
        Rows(rows),
        Paragraph(
            say(
                "The pseudonym is the SHA-256 of “greffier/pseudonym/v1”, a line feed, the salt and the 16 bytes of"
                " your identifier. Keep this notice: afterwards nobody else can show that the certificate is yours."
            )
        ),
    )
    return Section(say("How you recognise your certificate of erasure"), blocks)


def _time(reader: Reader, stated: dict[str, Any]) -> str:
    """Return the time that the agreement or the DPA sets for the notice."""
    say, due = reader.say, reader.document["due"]
    said = reader.document["announcement"]
    if stated["binding"] == "no_number":
        return say("The agreement asks for notice beforehand and names no number of days.")
    time = reader.when(due["at"])
    if said["lead"] is None:
        if stated["months"] is not None:
            return say("Months after it for this notice: %(count)s, until %(time)s.", count=stated["months"], time=time)
        return say("Days after it for this notice: %(count)s, until %(time)s.", count=stated["days"], time=time)
    if stated["months"] is not None:
        return say("Months ahead for this notice: %(count)s, until %(time)s.", count=stated["months"], time=time)
    if stated["day_count"] == "working":
        return say("Working days ahead for this notice: %(count)s, until %(time)s.", count=stated["days"], time=time)
    return say("Calendar days ahead for this notice: %(count)s, until %(time)s.", count=stated["days"], time=time)
