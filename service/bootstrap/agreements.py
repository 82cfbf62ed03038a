"""The agreements of an installation: the bundled ones, and those of a folder."""

from pathlib import Path

from notifications.agreement import agreements_of, bundled_agreements, bundled_dpas, bundled_files
from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.incidents.customer_decider import Agreements
from service.settings.provider import AgreementSettings


def load_agreements(settings: AgreementSettings) -> Agreements:
    """Return the bundled agreements and those of the configured folder; raises AgreementError or InvalidInputError."""
    by_id, dpas = bundled_agreements(), bundled_dpas()
    own = {path.name: path.read_bytes() for path in sorted((settings.folder or Path("/nonexistent")).glob("*.toml"))}
    if own:
        for name in own.keys() & bundled_files().keys():
            raise InvalidInputError(Fault("agreements.folder", f"{name} is also the name of a bundled file"))
        by_id, dpas = agreements_of([*bundled_files().items(), *own.items()])
    if settings.reference not in by_id:
        known = ", ".join(sorted(by_id))
        raise InvalidInputError(Fault("agreements.reference", f"no such agreement; these exist: {known}"))
    priorities = {priority for agreement in by_id.values() for priority in agreement.priority_ids}
    for priority, seconds in settings.internal_targets_seconds.items():
        if priority not in priorities or seconds <= 0:
            raise InvalidInputError(
                Fault(
                    "agreements.internal_targets_seconds",
                    f"{priority} is not a priority of an agreement, or its time is not above 0",
                )
            )
    return Agreements(
        by_id, settings.reference, settings.internal_targets_seconds, four_eyes=settings.four_eyes, dpas=dpas
    )
