"""The law of an installation: the bundled acts and those of a folder; and the provider under it."""

from pathlib import Path

from notifications.customer.legal_profile import Entity
from notifications.duties import bundled_law, parse_law, validate_entity
from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.legal_duties import LegalDuties
from service.settings.duties import DutySettings

_PERCENT_MAX = 100


def load_duties(settings: DutySettings) -> LegalDuties:
    """Return the law and the provider; raises AgreementError for a faulty file, InvalidInputError for a setting."""
    law = bundled_law()
    files = {
        path.name: path.read_bytes() for path in sorted((settings.folder or Path("/nonexistent")).glob("*.toml"))
    }  # fmt: skip
    if files:
        law = parse_law(files, law.sectors, law.acts)
    provider = Entity(settings.member_state, settings.region, frozenset(settings.sectors))
    try:
        validate_entity(provider, law.sectors)
    except InvalidInputError as error:
        raise InvalidInputError(*(Fault(f"duties.{fault.field}", fault.reason) for fault in error.faults)) from None
    known = {duty.id for duty in law.duties}
    for name in settings.authorities:
        if name not in known:
            raise InvalidInputError(
                Fault("duties.authorities", f"{name!r} is no duty; known: {', '.join(sorted(known))}")
            )
    parts = tuple(settings.reminders_percent)
    if list(parts) != sorted(set(parts)) or any(not 0 < part <= _PERCENT_MAX for part in parts):
        raise InvalidInputError(Fault("duties.reminders_percent", "must be ascending numbers from 1 to 100"))
    return LegalDuties(law, provider, settings.turnover_eur, dict(settings.authorities), parts)
