"""Prepared statements in a form with texts of the facts: one is chosen, filled, and added below what is typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifications.errors import InvalidInputError
from notifications.wording.statements import MOMENTS, NAMES, Statement, StatementPart, found_statements
from service.web.console.catalogues import text
from service.web.console.facts_form import Fields, Worded
from service.web.console.moments import MomentError, parse_moment

#: Texts that a form of an incident's facts has; the consequences for persons are stated for each customer.
PARTS: tuple[StatementPart, ...] = tuple(
    part for part in StatementPart if part is not StatementPart.LIKELY_CONSEQUENCES
)
#: Placeholder -> the fact that it most often repeats.
_LIKE_FACTS = {"service": "services", "place": "availability_zones", "since": "started_at", "until": "ended_at"}


class StatementRefusedError(Exception):
    """No statement is chosen, or a value that it needs is missing or wrong; ``worded`` says which."""

    def __init__(self, worded: Worded) -> None:
        self.worded = worded
        super().__init__(worded[0])


@dataclass(frozen=True, slots=True)
class StatementOption:
    """One statement of the list."""

    statement: Statement
    #: its text in the reader's language; each placeholder is its name in brackets
    said: str


@dataclass(frozen=True, slots=True)
class StatementPicker:
    """What the part of the page shows."""

    #: text of the facts -> its statements, in the order of the catalogue
    groups: Mapping[StatementPart, Sequence[StatementOption]]
    #: id of the chosen statement
    chosen: str
    #: placeholder -> what is typed, or what the facts suggest
    values: Mapping[str, str]
    moments: frozenset[str]
    fault: Worded | None


def statement_picker(
    fields: Fields, statements: Sequence[Statement], language: str, fault: Worded | None = None
) -> StatementPicker:
    """Return the picker for a form; ``fault``: why the last choice was refused."""
    labels = {name: f"[{text(f'statements.{name}', language)}]" for name in (*NAMES, *MOMENTS)}
    values = {
        name: fields[f"statement.{name}"] or fields[_LIKE_FACTS.get(name, "")]
        for name in (*sorted(NAMES), *sorted(MOMENTS))
    }
    groups = {
        part: [
            StatementOption(each, each.texts[language].format_map(labels))
            for each in found_statements(statements, "", part)
        ]
        for part in PARTS
    }
    return StatementPicker(groups, fields["statement"], values, MOMENTS, fault)


def with_statement(fields: Fields, statements: Sequence[Statement], now: datetime) -> Fields:
    """Return the fields with the chosen statement below the text that it is for, in every language.

    Raises StatementRefusedError.
    """
    statement = next((each for each in statements if each.id == fields["statement"] and each.part in PARTS), None)
    if statement is None:
        raise StatementRefusedError(("statements.wrong.choose", {}))
    zone = fields["time_zone"] or "UTC"
    try:
        values = {name: _value(name, fields, zone, now) for name in statement.placeholders}
        texts = statement.filled(values, zone).as_mapping()
    except MomentError as error:
        raise StatementRefusedError((error.key, {"zone": zone})) from None
    except InvalidInputError as error:
        raise StatementRefusedError((f"statements.wrong.{error.faults[0].field}", {})) from None
    names = {f"{statement.part.value}.{language}": said for language, said in texts.items()}
    added = {name: f"{before}\n{said}" if (before := fields[name].rstrip()) else said for name, said in names.items()}
    return fields.with_values(added | {"statement": ""})


def _value(name: str, fields: Fields, zone: str, now: datetime) -> str | datetime:
    typed = fields[f"statement.{name}"].strip()
    return parse_moment(typed, zone, now) if name in MOMENTS and typed else typed
