"""A JSON schema (draft 2020-12) of the DORA report, built from the field names and types of the EBA's schema IR-1.2.

It is written from the list of fields and not copied. It checks names, nesting, types, formats, coded values that the
drafts use, what is required, and that nothing else is there. It does not have the coded values of fields that a
provider never fills. ``SCHEMA`` also has the conditions of version 1.3.0, which states them under ``dependencies``: a
validator of draft 2020-12 ignores them there, others do not. ``STRICT_SCHEMA`` also requires what is required in every
copy that a reporting tool has changed.
"""

from copy import deepcopy
from itertools import pairwise

from notifications.duties.dora_report import report_fields

_TEXT = {"type": "string", "maxLength": 32767}
_TYPES = {
    "text": _TEXT,
    "choice": {"type": "string", "minLength": 1},
    "choices": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
    "lei": {"type": "string", "pattern": "^[A-Z0-9]{18}[0-9]{2}$"},
    "email": {"type": "string", "format": "email"},
    "phone": {"type": "string", "pattern": r"^\+?[1-9]\d{1,14}(\s?\(\d+\))?([-\s.]?\d+)*$"},
    "moment": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    "duration": {"type": "string", "pattern": r"^\d{1,3}:(?:[01]\d|2[0-3]):[0-5]\d$"},
    "number": {"type": "number"},
    "yes_no": {"type": "boolean"},
}
_VALUES = {
    "1.1": ["initial_notification", "intermediate_report", "final_report"],
    "2.5": ["critical_services_affected"],
    "2.7": ["third-party_provider"],
    "3.17": ["actual_figures", "estimates", "actual_figures_and_estimates", "no_information_available"],
    "3.28": ["yes", "no", "information_not_available"],
}
_MEMBERS = {
    "1.4": ["credit_institution"],
    "3.23": ["cybersecurity-related", "process_failure", "system_failure", "external_event", "other"],
    "3.25": [
        "social_engineering_including_phishing", "ddos", "identity_theft", "resource_hijacking",
        "data_exfiltration_and_manipulation_including_identity_theft",
    ],
    "4.1": ["malicious_actions", "process_failure", "system_failure_malfunction", "human_error", "external_event"],
    "4.2": ["external_event_natural_disasters_force_majeure", "external_event_third-party_failures"],
}  # fmt: skip
_REQUIRED = {
    (): ["incidentSubmission", "submittingEntity", "affectedEntity", "primaryContact", "incident"],
    ("primaryContact",): ["email"],
    ("incident",): ["incidentDescription", "classificationTypes"],
    ("incident", "classificationTypes", "0"): ["classificationCriterion"],
}

#: What only the changed copies require.
_STRICTLY_REQUIRED = {
    ("incident",): ["financialEntityCode", "detectionDateTime", "classificationDateTime"],
    ("impactAssessment", "serviceImpact"): ["isTemporaryActionsMeasuresForRecovery"],
}
_SUBMITTING = {
    "oneOf": [
        {"required": ["name", "code"], "not": {"required": ["LEI"]}},
        {"required": ["name", "LEI"], "not": {"required": ["code"]}},
    ]
}
_LATER_REPORT = {
    "required": ["incident", "impactAssessment"],
    "properties": {
        "incident": {
            "required": ["incidentType", "financialEntityCode", "incidentDescription"],
            "properties": {"incidentType": {"required": ["incidentClassification"]}},
        },
        "impactAssessment": {"required": ["affectedAssets", "isAffectedInfrastructureComponents", "serviceImpact"]},
    },
}


def _stated(name, *values):
    return {"required": [name], "properties": {name: {"enum": list(values)}}}


def _leaf(field):
    shape = dict(_TYPES[field.type])
    if field.number in _VALUES:
        shape["enum"] = _VALUES[field.number]
    if field.number in _MEMBERS:
        shape["items"] = {"enum": _MEMBERS[field.number]}
    return shape


def _object(path):
    return {"type": "object", "properties": {}, "additionalProperties": False, "required": _REQUIRED.get(path, [])}


def _built():
    root = _object(())
    for field in report_fields():
        at, path = root, ()
        parts = field.path.split(".")
        for part, following in pairwise(parts):
            path = (*path, part)
            if part == "0":
                at = at["items"]
            elif following == "0":
                new = {"type": "array", "minItems": 1, "items": _object((*path, "0"))}
                at = at["properties"].setdefault(part, new)
            else:
                at = at["properties"].setdefault(part, _object(path))
        at["properties"][parts[-1]] = _leaf(field)
    for entity in (root["properties"]["submittingEntity"], root["properties"]["affectedEntity"]["items"]):
        entity["properties"]["entityType"] = {"enum": ["SUBMITTING_ENTITY", "AFFECTED_ENTITY"]}
        entity["allOf"] = [
            {"if": _stated("entityType", "SUBMITTING_ENTITY"), "then": _SUBMITTING},
            {"if": _stated("entityType", "AFFECTED_ENTITY"), "then": {"required": ["affectedEntityType"]}},
        ]
    later = _stated("incidentSubmission", "intermediate_report", "final_report")
    root["allOf"] = [{"if": later, "then": _LATER_REPORT}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root}


def _strict(schema):
    stricter = deepcopy(schema)
    for path, names in _STRICTLY_REQUIRED.items():
        at = stricter
        for part in path:
            at = at["properties"][part]
        at["required"] = sorted({*at["required"], *names})
    return stricter


SCHEMA = _built()
STRICT_SCHEMA = _strict(SCHEMA)
