"""Facts in a form, checked: for a use case as a whole, or for a preview as far as they can be used."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import ValidationError

from notifications.agreement import Agreement
from notifications.errors import Fault, InvalidInputError
from notifications.incident import LANGUAGES, IncidentFacts, validate_facts
from service.web.api.incidents.incident_schemas import FactsIn
from service.web.console.facts_form import TEXTS, Entered, Worded


def stated_facts(entered: Entered, agreement: Agreement, now: datetime, language: str) -> IncidentFacts:
    """Return the facts for a use case; raises FactsRefusedError with the fields that are wrong."""
    faults = dict(entered.faults)
    if not faults:
        try:
            facts = FactsIn.model_validate(entered.facts).to_domain(language)
            validate_facts(facts, agreement, now)
        except ValidationError as error:
            faults = _worded(Fault(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors())
        except InvalidInputError as error:
            faults = _worded(error.faults)
        else:
            return facts
    raise FactsRefusedError(faults)


class FactsRefusedError(Exception):
    """Facts in a form that break a rule; ``faults`` as in ``Entered``."""

    def __init__(self, faults: Mapping[str, Worded]) -> None:
        self.faults = faults
        super().__init__(", ".join(faults))


def worded_faults(error: InvalidInputError) -> dict[str, Worded]:
    """Return the faults of a use case by the field of the form that states the fact."""
    return _worded(error.faults)


def _worded(faults: Iterable[Fault]) -> dict[str, Worded]:
    return {_field_of(fault.field): _words_of(fault.reason) for fault in faults}


def _field_of(path: str) -> str:
    first, *parts = path.split(".")
    if first in TEXTS:
        # The path may also name the member of a union of types.
        language = next((part for part in parts if part in LANGUAGES), "")
        return f"{first}.{language}" if language else first
    if first == "service_harm" and parts:
        return f"{first}.{parts[0]}"
    if first in {"rsit_class", "rsit_type"}:
        return "rsit"
    return "customers_pasted" if first == "affected_customers" else first


def _words_of(reason: str) -> Worded:
    if reason == "must not be in the future":
        return "facts.wrong.future", {}
    if reason.startswith("must not be before "):
        return f"facts.wrong.before_{reason.removeprefix('must not be before ')}", {}
    return "facts.wrong.other", {"reason": reason}


def usable_facts(entered: Entered, agreement: Agreement, now: datetime, language: str) -> IncidentFacts:
    """Return the facts as far as they can be used, for a preview: what is missing or wrong is left out, so unknown.

    Without a moment of awareness it is now.
    """
    facts = dict(entered.facts)
    for _ in range(len(FactsIn.model_fields) + 1):
        complete = {"title": {language: "…"}, "summary": {language: "…"}, "aware_at": now.isoformat()} | facts
        try:
            usable = FactsIn.model_validate(complete).to_domain(language)
            validate_facts(usable, agreement, now)
        except ValidationError as error:
            wrong = {str(item["loc"][0]) for item in error.errors()}
        except InvalidInputError as error:
            wrong = {fault.field.partition(".")[0] for fault in error.faults}
        else:
            return usable
        if not wrong & facts.keys():
            break
        for name in wrong:
            facts.pop(name, None)
    return FactsIn.model_validate({
        "title": {language: "…"}, "summary": {language: "…"}, "aware_at": now.isoformat(),
    }).to_domain(language)  # fmt: skip
