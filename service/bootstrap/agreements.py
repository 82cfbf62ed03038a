"""The agreements of an installation: the bundled ones, and those of a folder."""

from pathlib import Path

from notifications.agreement import Agreement, bundled_agreements, parse_agreement
from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.incidents.customer_decider import Agreements
from service.settings.provider import AgreementSettings


def load_agreements(settings: AgreementSettings) -> Agreements:
    """Return the bundled agreements and those of the configured folder; raises AgreementError or InvalidInputError."""
    by_id: dict[str, Agreement] = dict(bundled_agreements())
    for path in sorted((settings.folder or Path("/nonexistent")).glob("*.toml")):
        agreement = parse_agreement(path.read_bytes(), path.name)
        if agreement.id in by_id:
            raise InvalidInputError(
                Fault("agreements.folder", f"{path} has the id of another agreement, {agreement.id}")
            )
        by_id[agreement.id] = agreement
    if settings.reference not in by_id:
        known = ", ".join(sorted(by_id))
        raise InvalidInputError(Fault("agreements.reference", f"no such agreement; these exist: {known}"))
    priorities = by_id[settings.reference].priority_ids
    for priority, seconds in settings.internal_targets_seconds.items():
        if priority not in priorities or seconds <= 0:
            raise InvalidInputError(
                Fault(
                    "agreements.internal_targets_seconds",
                    f"{priority} is not a priority of the agreement, or its time is not above 0",
                )
            )
    return Agreements(by_id, settings.reference, settings.internal_targets_seconds, four_eyes=settings.four_eyes)
