"""Record what a customer states of itself: its sectors, Member State, region and LEI."""

from uuid import UUID

from notifications.customer.legal_profile import Entity, LegalProfile
from notifications.duties import validate_entity
from notifications.errors import VersionMismatchError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.legal_duties import LegalDuties


def state_legal_profile(
    tx: Transaction,
    act: AuditContext,
    customer_id: UUID,
    stated: Entity,
    expected_version: int | None,
    duties: LegalDuties,
) -> LegalProfile:
    """Record a new version; notices sealed from now on name the duties that follow from it.

    ``expected_version``: the version that the caller saw, 0 for none; None does not check. Raises NotFoundError,
    InvalidInputError with every fault, and VersionMismatchError. Not checked: whether the statement is true.
    """
    tx.customers.require(customer_id)
    validate_entity(stated, duties.law.sectors)
    before = tx.duties.legal_profile(customer_id)
    current = 0 if before is None else before.version
    if expected_version is not None and expected_version != current:
        raise VersionMismatchError("legal profile", customer_id, expected_version, current)
    profile = LegalProfile(
        customer_id=customer_id,
        version=current + 1,
        member_state=stated.member_state,
        region=stated.region,
        sectors=tuple(sorted(stated.sectors)),
        lei=stated.lei,
        recorded_at=act.now,
        recorded_by=act.actor,
    )
    tx.duties.add_legal_profile(profile)
    tx.audit.append([
        act.entry(
            "legal_profile.stated",
            subjects={"customer": tx.customers.pseudonym(customer_id)},
            detail={"version": profile.version},
            private={
                "member_state": profile.member_state,
                "region": profile.region,
                "sectors": list(profile.sectors),
                "lei": profile.lei,
            },
        )
    ])  # fmt: skip
    return profile
