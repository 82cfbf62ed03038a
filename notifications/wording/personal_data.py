"""The personal-data section: every item that the DPA requires, including the items not known yet."""

from collections.abc import Mapping, Sequence
from typing import Any

from notifications.wording.letter import Block, Paragraph, Phrase, Rows, Section
from notifications.wording.opening import PROPERTIES
from notifications.wording.reader import Reader


def personal_data(reader: Reader) -> Section | None:
    """Return the section, or None if the notice is not about a personal-data breach."""
    say, stated = reader.say, reader.document["personal_data"]
    if stated is None:
        return None
    rows = (
        (say("Breach"), Phrase(reader.words(f"breach.{stated['breach']}"))),
        (say("Controller of the personal data"), Phrase(reader.words(f"controller.{stated['controller']}"))),
        (say("Nature of the breach"), Phrase(_nature(reader, stated))),
        (say("Categories of data subjects"), _categories(reader, stated["categories_of_data_subjects"])),
        (say("Approximate number of data subjects"), Phrase(_count(reader, stated["data_subjects_approx"]))),
        (say("Categories of personal data records"), _categories(reader, stated["categories_of_records"])),
        (say("Approximate number of personal data records"), Phrase(_count(reader, stated["records_approx"]))),
        (say("Contact point"), Phrase(contact_point(reader, stated["contact_point"]))),
        # Only where the DPA of the customer asks for it.
        *(
            [(say("Health data"), Phrase(reader.words(f"answer.{stated['health_data'] or 'unknown'}")))]
            if "health_data" in stated
            else []
        ),
    )
    blocks: list[Block] = [
        Paragraph(say("The data-protection annex (DPA) requires us to tell you the following:")),
        Rows(rows),
    ]
    if stated["breach"] == "suspected":
        said = say("A suspected breach is notified like a confirmed one.")
        blocks.insert(0, Paragraph(reader.cited(said, "breach_suspicion")))
    for label, text in (
        (say("Likely consequences of the breach"), stated["likely_consequences"]),
        (say("Measures taken or proposed, including those that mitigate its effects"), stated["measures"]),
        (say("Potential impact on your data hosted in the cloud"), stated["impact_on_hosted_data"]),
    ):
        blocks.append(Paragraph(label, strong=True))
        blocks.append(Paragraph(say("Not known yet.")) if text is None else reader.quote(text))
    return Section(reader.cited(say("Personal data"), "breach_content"), tuple(blocks))


def contact_point(reader: Reader, stated: Mapping[str, Any]) -> str:
    """Return the contact point on one line."""
    return ", ".join(
        reader.name(part) for part in (stated["name"], stated["email"], stated["phone"]) if part is not None
    )


def _nature(reader: Reader, stated: Mapping[str, Any]) -> str:
    harmed = list(stated["nature_of_breach"])
    if not harmed:
        return reader.words("answer.unknown")
    return ", ".join(reader.words(f"fact.data_harm.{name}") for name in PROPERTIES if name in harmed)


def _categories(reader: Reader, stated: Sequence[str | Mapping[str, str]] | None) -> Phrase:
    if stated is None:
        return Phrase(reader.words("answer.unknown"))
    return reader.phrases(stated) if stated else Phrase(reader.say("none"))


def _count(reader: Reader, count: int | None) -> str:
    return reader.words("answer.unknown") if count is None else reader.number(count)
