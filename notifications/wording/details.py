"""The sections of a notice below the first screen, in reading order."""

from typing import Any

from notifications.incident import is_restated
from notifications.wording.closing import checking, contact
from notifications.wording.letter import Block, Items, Paragraph, Phrase, Quote, Remark, Rows, Section, Table
from notifications.wording.opening import PROPERTIES, affected
from notifications.wording.own_deadlines import own_deadlines
from notifications.wording.personal_data import personal_data
from notifications.wording.reader import Reader
from notifications.wording.vocabulary import due_words

_LEVELS = ("impact.", "criticality.", "priority.")


def sections(reader: Reader) -> tuple[Section, ...]:
    """Return every section of the notice."""
    made = (
        *_changes(reader),
        _what_happened(reader),
        _effect(reader),
        _measures(reader),
        _recommendations(reader),
        personal_data(reader),
        _not_known_yet(reader),
        _classification(reader),
        _why(reader),
        own_deadlines(reader),
        contact(reader),
        checking(reader),
    )
    return tuple(section for section in made if section is not None)


def footer(reader: Reader) -> tuple[str, ...]:
    """Return the lines that identify this notice exactly."""
    document = reader.document
    return (
        reader.say("Issued: %(time)s", time=reader.when(document["issued_at"])),
        reader.say(
            "Notice %(notice)s, incident %(incident)s, version %(version)s of the facts",
            notice=document["notice_id"],
            incident=document["incident_id"],
            version=document["facts_version"],
        ),
    )


def _changes(reader: Reader) -> tuple[Section, ...]:
    """Return what was wrong in the last notice or has changed since; a correction lists new facts separately."""
    say, document = reader.say, reader.document
    if document["kind"] == "initial":
        return ()
    if document["kind"] != "correction":
        return (Section(say("What has changed"), (_comparison(reader, document["changes"]),)),)
    wrong = [change for change in document["changes"] if _was_wrong(change)]
    new = [change for change in document["changes"] if not _was_wrong(change)]
    corrected = Section(say("What was not right"), (_comparison(reader, wrong),))
    return (corrected, Section(say("What has become known"), (_comparison(reader, new),))) if new else (corrected,)


def _was_wrong(change: dict[str, Any]) -> bool:
    """Return whether the earlier statement was wrong; a fact that was open, grew or was confirmed was not wrong."""
    was, is_now = change["from"], change["to"]
    if was is None or (was, is_now) == ("suspected", "confirmed"):
        return False
    if isinstance(was, list | tuple) and isinstance(is_now, list | tuple):
        return not is_restated(was, is_now)
    return not (change["fact"] == "resources_count" and was < is_now)


def _comparison(reader: Reader, changes: list[dict[str, Any]]) -> Block:
    say = reader.say
    if not changes:
        return Paragraph(say("No coded fact has another value than before; the texts below are new."))
    return Table(
        say("What changed since the last notice"),
        (say("Fact"), say("Stated before"), say("Stated now")),
        tuple(
            (
                reader.words(f"fact.{change['fact']}"),
                reader.value(change["fact"], change["from"]),
                reader.value(change["fact"], change["to"]),
            )
            for change in changes
        ),
    )


def _what_happened(reader: Reader) -> Section:
    say, document = reader.say, reader.document
    times, rsit = document["times"], document["rsit"]
    rows = [
        (say("Began"), Phrase(reader.when(times["started_at"]))),
        (say("Detected"), Phrase(reader.when(times["detected_at"]))),
        (say("The provider became aware"), Phrase(reader.when(times["aware_at"]))),
        (say("Ended"), Phrase(_ended(reader))),
    ]
    # Documents of earlier releases do not have the cause.
    for name, value in document.get("cause_of_incident", {}).items():
        if isinstance(value, str):
            rows.append((reader.words(f"fact.{name}"), Phrase(reader.value(name, value))))
    if rsit is not None:
        rows.append((say("RSIT taxonomy"), Phrase(" / ".join(part for part in (rsit["class"], rsit["type"]) if part))))
    return Section(say("What happened"), (reader.quote(document["what_happened"]), Rows(tuple(rows))))


def _ended(reader: Reader) -> str:
    ended_at = reader.document["times"]["ended_at"]
    if ended_at is None and reader.document["kind"] != "final":
        return reader.say("not over, or not known yet")
    return reader.when(ended_at)


def _effect(reader: Reader) -> Section:
    say, effect = reader.say, reader.document["effect"]
    blocks: list[Block] = [Paragraph(affected(reader))]
    if effect["text"] is not None:
        blocks.append(reader.quote(effect["text"]))
    rows = [(say("Harm to your data"), Phrase(_data_harm(reader, effect["data_harm"])))]
    rows += [
        (label, Phrase(reader.names(effect[key])))
        for label, key in (
            (say("Services affected"), "services"),
            (say("Regions affected"), "regions"),
            (say("Availability zones affected"), "availability_zones"),
        )
        if effect[key]
    ]
    blocks.append(Rows(tuple(rows)))
    blocks += _resources(reader, effect)
    return Section(say("Effect on you"), tuple(blocks))


def _data_harm(reader: Reader, answers: dict[str, str]) -> str:
    return ", ".join(
        f"{reader.words(f'property.{name}')} ({reader.words(f'answer.{answers[name]}')})" for name in PROPERTIES
    )


def _resources(reader: Reader, effect: dict[str, Any]) -> list[Block]:
    say, listed = reader.say, effect["resources"]
    if not listed:
        return []
    blocks: list[Block] = [
        Paragraph(say("Your resources affected: %(count)s", count=reader.number(effect["resources_count"])))
    ]
    if effect["resources_count"] > len(listed):
        blocks.append(
            Paragraph(
                say(
                    "The first %(listed)s are listed here. The attachment resources.csv holds all of them; its SHA-256"
                    " is %(digest)s.",
                    listed=reader.number(len(listed)),
                    digest=effect["resources_csv_sha256"],
                )
            )
        )
    blocks.append(_resource_table(reader, listed))
    return blocks


def _resource_table(reader: Reader, listed: list[dict[str, Any]]) -> Table:
    """Return the table of resources, without the columns that are empty for all of them."""
    say = reader.say
    labels = {"name": say("Name"), "region": say("Region"), "availability_zone": say("Zone")}
    columns = [key for key in labels if any(resource[key] is not None for resource in listed)]
    return Table(
        say("Your resources affected"),
        (say("Identifier"), say("Kind"), *(labels[key] for key in columns)),
        tuple(
            (
                reader.name(resource["id"]),
                reader.words(f"resource.{resource['kind']}"),
                *("–" if resource[key] is None else reader.name(resource[key]) for key in columns),
            )
            for resource in listed
        ),
        compact=True,
    )


def _measures(reader: Reader) -> Section:
    say, measures = reader.say, reader.document["measures_taken"]
    block: Paragraph | Quote = Paragraph(say("Not known yet.")) if measures is None else reader.quote(measures)
    return Section(say("Measures that we have taken"), (block,))


def _recommendations(reader: Reader) -> Section:
    say, recommendations = reader.say, reader.document["recommendations"]
    block: Paragraph | Quote = Paragraph(say("We have no recommendation to you at this time."))
    if recommendations is not None:
        block = reader.quote(recommendations)
    return Section(say("What we recommend to you"), (block,))


def _not_known_yet(reader: Reader) -> Section:
    say, unknown = reader.say, reader.document["not_known_yet"]
    blocks: list[Block] = []
    if unknown["facts"]:
        blocks.append(Paragraph(say("These facts are not known yet. We send them to you as soon as they are.")))
        blocks.append(Items(tuple(reader.words(f"fact.{fact}") for fact in unknown["facts"])))
    if unknown["text"] is not None:
        blocks.append(reader.quote(unknown["text"]))
    if not blocks:
        blocks.append(Paragraph(say("Nothing that this notice has to state is still unknown.")))
    return Section(say("What is not known yet"), tuple(blocks))


def _classification(reader: Reader) -> Section:
    say, classification = reader.say, reader.document["classification"]
    definitions = [ground for ground in classification["grounds"] if not ground["id"].startswith(_LEVELS)]
    levels = [ground for ground in classification["grounds"] if ground["id"].startswith(_LEVELS)]
    holding = [ground for ground in definitions if ground["holds"] == "yes"]
    open_grounds = [ground for ground in definitions if ground["holds"] == "unknown"]
    nature = reader.words(f"nature.{classification['nature']}")
    blocks: list[Block] = [
        Paragraph(
            say("By the agreement “%(title)s”, this is: %(nature)s.", title=_title(reader), nature=nature)
        )
    ]  # fmt: skip
    if classification["provisional"]:
        blocks.append(
            Paragraph(
                say(
                    "This is provisional. As long as a fact is not known, we take the most protective classification"
                    " that is still possible, and tell you when it changes."
                )
            )
        )
    if holding:
        blocks += [Paragraph(say("What is established:")), _cited(reader, holding)]
    if open_grounds:
        blocks += [Paragraph(say("What is still open:")), _cited(reader, open_grounds)]
    scales = ("impact",) if classification.get("without_matrix") else ("impact", "criticality", "priority")
    blocks.append(Rows(tuple(_level_row(reader, scale, levels) for scale in scales)))
    return Section(say("How the incident is classified"), tuple(blocks))


def _level_row(reader: Reader, scale: str, levels: list[dict[str, Any]]) -> tuple[str, Phrase]:
    say = reader.say
    label = {"impact": say("Impact"), "criticality": say("Criticality"), "priority": say("Priority")}[scale]
    stated = reader.document["classification"][scale]
    if stated is None:
        return label, Phrase(reader.words("answer.unknown"))
    ground = next((level for level in levels if level["id"] == f"{scale}.{stated}"), None)
    if ground is None:
        return label, Phrase(stated)
    words = say("%(level)s: %(text)s", level=stated, text=reader.contract(ground["text"]).rstrip("."))
    return label, Phrase(reader.with_clause(words, ground["clause"]))


def _why(reader: Reader) -> Section:
    say, document = reader.say, reader.document
    blocks: list[Block] = []
    if document["why_you_are_told"]:
        blocks.append(_cited(reader, document["why_you_are_told"]))
    elif document["sequence"] > 1:
        blocks.append(
            Paragraph(
                say(
                    "By what is known today, no clause of the agreement would by itself oblige us to tell you. We tell"
                    " you because we told you of this incident before."
                )
            )
        )
    else:
        blocks.append(Paragraph(say("We decided to tell you, although no clause of the agreement obliges us to.")))
    dpa = document["agreement"].get("dpa")
    if dpa is not None and document["due"]["kind"] == "contractual":
        # Of several versions, the reader must know the one whose articles are cited.
        blocks.append(Paragraph(say("For personal data this applies: %(title)s.", title=reader.contract(dpa["title"]))))
    due = document["due"]
    blocks.append(
        Paragraph(
            say(
                "This notice is due: %(time)s — %(kind)s.",
                time=reader.when(due["at"]),
                kind=due_words(due, reader.language),
            )
        )
    )
    if due.get("binding") == "hard" and document["issued_at"] > due["at"]:
        blocks.append(Remark(say("This notice is late: it is issued after this limit.")))
    if due.get("binding") == "soft" and document["issued_at"] > due["at"]:
        blocks.append(Paragraph(say("This notice is issued after the time aimed at.")))
    return Section(say("Why you are told"), tuple(blocks))


def _cited(reader: Reader, grounds: list[dict[str, Any]]) -> Items:
    return Items(
        tuple(
            reader.with_clause(f"{reader.contract(ground['text']).rstrip('.')}.", ground["clause"])
            for ground in grounds
        )
    )


def _title(reader: Reader) -> str:
    return reader.contract(reader.document["agreement"]["title"])
