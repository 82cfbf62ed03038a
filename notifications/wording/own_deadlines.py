"""The section on the customer's own legal deadlines: from the duties that the document names."""

from collections.abc import Mapping
from typing import Any

from notifications.wording.letter import Block, Items, Paragraph, Section
from notifications.wording.reader import Reader


def own_deadlines(reader: Reader) -> Section:
    """Return when the provider became aware and issued the notice, and the duties that the customer may have."""
    say, document = reader.say, reader.document
    became_aware = Paragraph(
        say(
            "%(provider)s became aware on: %(time)s.",
            provider=reader.name(document["provider"]["name"]),
            time=reader.when(document["times"]["aware_at"]),
        )
    )
    advice = Paragraph(
        say("This is information and no legal advice: whether and from when they run is for you to judge.")
    )
    stated = document.get("your_deadlines")
    if stated is None:
        intro = Paragraph(say("Your own legal deadlines may run, depending on what you are and on what is affected:"))
        return Section(say("Your own deadlines"), (became_aware, intro, _earlier(reader), advice))
    blocks: list[Block] = [
        became_aware,
        Paragraph(say("This notice was issued on: %(time)s.", time=reader.when(document["issued_at"]))),
        Paragraph(
            say(
                "When you became aware is for you to say: as a rule when this notice reached you, unless you knew"
                " before."
            )
        ),
        Paragraph(_introduction(reader, stated["stated"])),
    ]
    if stated["duties"]:
        blocks.append(Items(tuple(_line(reader, duty) for duty in stated["duties"])))
    return Section(say("Your own deadlines"), (*blocks, advice))


def _earlier(reader: Reader) -> Items:
    """Return how the notices of earlier releases said it: their documents name no duties."""
    say = reader.say
    return Items(
        (
            say("GDPR, article 33: 72 hours, from the controller to its supervisory authority"),
            say("NIS2, article 23: early warning within 24 hours, notification within 72 hours"),
            say(
                "DORA, article 19 (financial entities): initial notification within 4 hours of classification"
                " and at the latest 24 hours after becoming aware"
            ),
        )
    )


def _introduction(reader: Reader, stated: Mapping[str, Any] | None) -> str:
    say = reader.say
    if stated is None or not stated["sectors"]:
        return say(
            "Your own legal deadlines may run, depending on what you are and on what is affected. You can state your"
            " sector and your Member State on the pages of the service: then notices name yours."
        )
    sectors = ", ".join(reader.contract(sector["title"]) for sector in stated["sectors"])
    if stated["member_state"] is None:
        return say("By what you state of yourself (%(sectors)s), these may run:", sectors=sectors)
    return say(
        "By what you state of yourself (%(sectors)s; Member State %(state)s), these may run:",
        sectors=sectors,
        state=stated["region"] or stated["member_state"],
    )


def _line(reader: Reader, duty: Mapping[str, Any]) -> str:
    return reader.say(
        "%(clause)s: %(title)s, to: %(recipient)s; %(limit)s",
        clause=duty["clause"],
        title=reader.contract(duty["title"]),
        recipient=reader.contract(duty["recipient"]),
        limit=_limit(reader, duty),
    )


def _limit(reader: Reader, duty: Mapping[str, Any]) -> str:
    say = reader.say
    if duty["length"] is None:
        return say("without undue delay")
    limit = _after(reader, duty["length"], duty["start"], duty["submission_of"])
    second = duty["second_limit"]
    if second is not None:
        limit = say(
            "%(first)s and %(second)s", first=limit, second=_after(reader, second["length"], second["start"], None)
        )
        if second["falls_away"]:
            limit = say("%(limit)s; if you classify it later than that, the first time only", limit=limit)
    return say("%(limit)s; later only with the reasons", limit=limit) if duty["reasons_if_later"] else limit


def _after(reader: Reader, length: Mapping[str, int | None], start: str, report: Mapping[str, str] | None) -> str:
    say, said = reader.say, length_words(reader, length)
    match start:
        case "awareness":
            return say("at the latest %(length)s after you became aware", length=said)
        case "receipt":
            return say("at the latest %(length)s after receipt", length=said)
        case "classification":
            return say("at the latest %(length)s after you classified the incident as major", length=said)
        case "significance":
            return say("at the latest %(length)s after the incident proved significant", length=said)
        case "high_risk":
            return say("at the latest %(length)s after a high risk showed", length=said)
        case "fix":
            return say("at the latest %(length)s after a corrective measure is available", length=said)
        case "handled":
            return say("at the latest %(length)s after the end of handling", length=said)
        case "submission":
            title = "" if report is None else reader.contract(report)
            return say("at the latest %(length)s after the submission of: %(report)s", length=said, report=title)
    raise KeyError(start)


def length_words(reader: Reader, length: Mapping[str, int | None]) -> str:
    """Return a length of time in words, such as ``72 hours``."""
    say = reader.say
    if length["hours"] is not None:
        return say("%(number)s hours", number=length["hours"])
    if length["days"] is not None:
        return say("%(number)s days", number=length["days"])
    return say("one month") if length["months"] == 1 else say("%(number)s months", number=length["months"])
