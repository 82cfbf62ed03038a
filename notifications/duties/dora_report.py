"""The DORA template of a major incident as JSON, as far as a provider can fill it for a customer.

Source of the fields: Implementing Regulation 2025/302, annexes I and II; of their places: the EBA's JSON schema IR-1.2.
The report is made only from a sealed notice and from what the customer states of itself. Not checked: whether the
incident is major, which only the customer can say.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from notifications.agreement.table import Table
from notifications.customer.legal_profile import Entity
from notifications.duties.terms import Sector
from notifications.incident import Answer, Cause, Intent, LocalizedText

_FILE = "dora_report.toml"
_TEXT_MAX_CHARACTERS = 32_767
#: The pattern of durations allows three digits of days.
_DURATION_MAX = timedelta(days=1000) - timedelta(minutes=1)


class Submission(StrEnum):
    """Values of field 1.1 that a customer can ask a draft of."""

    INITIAL = "initial_notification"
    INTERMEDIATE = "intermediate_report"
    FINAL = "final_report"


#: The sections of the template that each report has.
_SECTIONS = MappingProxyType({Submission.INITIAL: "12", Submission.INTERMEDIATE: "123", Submission.FINAL: "1234"})

#: Cause -> (field 3.23, field 4.1).
_CAUSES: Mapping[str, tuple[str, str]] = MappingProxyType({
    Cause.ATTACK: ("cybersecurity-related", "malicious_actions"),
    Cause.HARDWARE_FAILURE: ("system_failure", "system_failure_malfunction"),
    Cause.BUG: ("system_failure", "system_failure_malfunction"),
    Cause.MALFUNCTION: ("system_failure", "system_failure_malfunction"),
    Cause.HUMAN_ERROR: ("other", "human_error"),
    Cause.NATURAL_DISASTER: ("external_event", "external_event"),
})  # fmt: skip
#: RSIT type -> field 3.25. Types without a clear counterpart are left to the customer.
_TECHNIQUES: Mapping[str, str] = MappingProxyType({
    "ddos": "ddos",
    "dos": "ddos",
    "social-engineering": "social_engineering_including_phishing",
    "phishing": "social_engineering_including_phishing",
    "masquerade": "identity_theft",
    "unauthorised-use-of-resources": "resource_hijacking",
    "unauthorized-use-of-resources": "resource_hijacking",
    "data-leak": "data_exfiltration_and_manipulation_including_identity_theft",
    "unauthorised-information-access": "data_exfiltration_and_manipulation_including_identity_theft",
    "unauthorised-information-modification": "data_exfiltration_and_manipulation_including_identity_theft",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportField:
    """One field of the template."""

    #: as in the annexes, such as ``3.15``
    number: str
    #: dotted path in the JSON document; a number is an index of a list
    path: str
    type: str
    #: a provider can know the value
    known: bool
    title: LocalizedText
    #: why to fill it, where that is not plain from its title
    note: LocalizedText | None


@dataclass(frozen=True, slots=True)
class ContactPerson:
    """The customer's person in charge, as the provider knows it."""

    name: str
    email: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class OwnStatements:
    """What the customer says itself when it asks for a draft: only the customer knows it."""

    #: field 2.2; without it the draft has the provider's detection
    aware_at: datetime | None = None
    #: field 2.3
    classified_at: datetime | None = None
    #: field 3.33; unknown: yes if the notice names measures, else left out
    temporary_measures: Answer = Answer.UNKNOWN


NOTHING_STATED = OwnStatements()


@dataclass(frozen=True, slots=True)
class DoraReport:
    """A draft of a report."""

    #: valid against the schema
    content: Mapping[str, Any]
    #: fields of this report that the draft leaves empty
    empty: tuple[ReportField, ...]


@cache
def report_fields() -> tuple[ReportField, ...]:
    """Return every field of the template, in the order of the annexes; raises AgreementError for a faulty file."""
    data = resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    root = Table(_FILE, "", tomllib.loads(data))
    root.words("schema")
    fields = []
    for table in root.tables("fields"):
        number, path, kind = table.words("number"), table.words("path"), table.words("type")
        note = table.texts("note") if table.has("note") else None
        fields.append(ReportField(number, path, kind, table.boolean("known"), table.texts("title"), note))
        table.finish()
    root.finish()
    return tuple(fields)


def dora_report(
    document: Mapping[str, Any],
    entity: Entity,
    sectors: Mapping[str, Sector],
    contact: ContactPerson,
    submission: Submission,
    stated: OwnStatements = NOTHING_STATED,
) -> DoraReport:
    """Return the draft of one report, and the fields that are left empty.

    ``document`` is the notice document of the customer. A field that the schema requires and the provider does not
    know is an empty text; any other one is left out.
    """
    values = _section_1(document, entity, sectors, contact, submission)
    values |= _section_2(document, stated)
    values |= _section_3(document, stated)
    values |= _section_4(document)
    within = [each for each in report_fields() if each.number[0] in _SECTIONS[submission]]
    content: dict[str, Any] = {}
    for each in within:
        if (value := values.get(each.number)) is not None:
            _place(content, each.path.split("."), value)
    _fill_required(content, submission)
    empty = tuple(each for each in within if values.get(each.number) is None or values[each.number] == "")
    return DoraReport(content, empty)


def _section_1(
    document: Mapping[str, Any],
    entity: Entity,
    sectors: Mapping[str, Sector],
    contact: ContactPerson,
    submission: Submission,
) -> dict[str, Any]:
    name = document["customer"]["name"]
    kinds = sorted(kind for kind in (sectors[each].dora_type for each in entity.sectors if each in sectors) if kind)
    return {
        "1.1": submission.value,
        "1.2": name,
        "1.3a": entity.lei,
        # The schema wants a code where there is no LEI.
        "1.3b": None if entity.lei else "",
        "1.4": kinds or None,
        "1.5": name,
        "1.6": entity.lei,
        "1.7": contact.name,
        "1.8": contact.email,
        "1.9": contact.phone,
    }


def _section_2(document: Mapping[str, Any], stated: OwnStatements) -> dict[str, Any]:
    return {
        # Without the customer's word the provider's detection: it does not know when the customer became aware.
        "2.2": _of_moment(stated.aware_at) or _second(document["times"]["detected_at"]),
        "2.3": _of_moment(stated.classified_at),
        "2.4": _text(document, document["what_happened"]),
        # Every major incident affects critical services (Delegated Regulation 2024/1772, article 8).
        "2.5": "critical_services_affected",
        "2.7": "third-party_provider",
        "2.8": document["provider"]["name"],
    }


def _section_3(document: Mapping[str, Any], stated: OwnStatements) -> dict[str, Any]:
    times, effect = document["times"], document["effect"]
    kind = _classified(document)[0]
    technique = _TECHNIQUES.get((document["rsit"] or {}).get("type") or "")
    measures = document["measures_taken"]
    temporary = _temporary_measures(document, stated)
    lasted = _duration(times["started_at"], times["ended_at"])
    components = ", ".join((*effect["services"], *effect["regions"], *effect["availability_zones"]))
    return {
        "3.2": _second(times["started_at"]),
        "3.3": _second(times["ended_at"]),
        "3.15": lasted,
        "3.16": lasted if document["cause_of_incident"]["unavailable"] else None,
        "3.17": None if lasted is None else "actual_figures",
        "3.23": [kind] if kind else None,
        "3.24": _cause_word(document) if kind == "other" else None,
        "3.25": [technique] if technique and kind == "cybersecurity-related" else None,
        "3.28": "yes" if components else "information_not_available",
        "3.29": components or None,
        "3.33": temporary,
        "3.34": _text(document, measures) if measures is not None and temporary else None,
    }


def _temporary_measures(document: Mapping[str, Any], stated: OwnStatements) -> bool | None:
    """Return field 3.33: the customer's own word, else yes if the notice names measures. Unknown is not no."""
    if stated.temporary_measures is not Answer.UNKNOWN:
        return stated.temporary_measures is Answer.YES
    return None if document["measures_taken"] is None else True


def _section_4(document: Mapping[str, Any]) -> dict[str, Any]:
    cause, measures, ended_at = _classified(document)[1], document["measures_taken"], document["times"]["ended_at"]
    detailed = ["external_event_third-party_failures"]
    if document["cause_of_incident"]["cause"] == Cause.NATURAL_DISASTER:
        detailed.append("external_event_natural_disasters_force_majeure")
    return {
        # For the customer it is the failure of a third party as well.
        "4.1": sorted({*([cause] if cause else []), "external_event"}),
        "4.2": detailed,
        "4.5": _text(document, document["what_happened"]),
        "4.6": None if measures is None else _text(document, measures),
        "4.8": _second(ended_at),
    }


def _classified(document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    stated = document["cause_of_incident"]
    if stated["intent"] == Intent.MALICIOUS:
        return _CAUSES[Cause.ATTACK]
    return _CAUSES.get(stated["cause"], (None, None))


def _cause_word(document: Mapping[str, Any]) -> str:
    return str(document["cause_of_incident"]["cause"]).replace("_", " ")


def _fill_required(content: dict[str, Any], submission: Submission) -> None:
    """Add what the schema requires and a provider cannot know."""
    if "affectedEntityType" in content["affectedEntity"][0]:
        content["affectedEntity"][0]["entityType"] = "AFFECTED_ENTITY"
    content["submittingEntity"]["entityType"] = "SUBMITTING_ENTITY"
    content["incident"].setdefault("financialEntityCode", "")
    if submission is Submission.INITIAL:
        return
    content["incident"].setdefault("incidentType", {}).setdefault("incidentClassification", ["other"])
    impact = content.setdefault("impactAssessment", {})
    impact.setdefault("criticalServicesAffected", "")
    impact.setdefault("affectedAssets", {})
    impact.setdefault("serviceImpact", {})
    if submission is Submission.FINAL:
        content["incident"].setdefault("incidentResolutionSummary", "")
        content["incident"].setdefault("incidentResolutionVsPlannedImplementation", "")


def _place(content: dict[str, Any], path: Sequence[str], value: Any) -> None:
    at: Any = content
    for part, following in pairwise(path):
        if part == "0":
            at = at[0]
        elif following == "0":
            at = at.setdefault(part, [{}])
        else:
            at = at.setdefault(part, {})
    at[path[-1]] = value


def _second(timestamp: str | None) -> str | None:
    """Return a moment in UTC to the second, the form of the template."""
    return None if timestamp is None else _of_moment(_moment(timestamp))


def _of_moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp)


def _duration(started_at: str | None, ended_at: str | None) -> str | None:
    """Return the time between two moments as DD:HH:MM, rounded down to minutes."""
    if started_at is None or ended_at is None:
        return None
    lasted = min(max(_moment(ended_at) - _moment(started_at), timedelta()), _DURATION_MAX)
    minutes = int(lasted.total_seconds()) // 60
    return f"{minutes // 1440:02}:{minutes // 60 % 24:02}:{minutes % 60:02}"


def _text(document: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Return a text in the customer's language."""
    return LocalizedText.of(texts).in_language(document["customer"]["language"])[1][:_TEXT_MAX_CHARACTERS]
