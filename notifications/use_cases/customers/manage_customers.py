"""Register and change customers, contacts, agreement bindings and chosen levels."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

from notifications.agreement import Agreement, dpas_of
from notifications.canonical_json import timestamp_text
from notifications.customer.records import (
    AgreementBinding,
    Contact,
    Customer,
    LevelChoice,
    ProfileVersion,
    binding_in_force,
)
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.mail_address import a_label_address, normal_address
from notifications.ports import Transaction
from notifications.time_zones import time_zone
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.customer_entries import (
    ContactDraft,
    CustomerDraft,
    bound_entry,
    confirmed_entry,
    contact_entries,
    customer_entry,
    new_contact,
    new_customer,
    verify_certificate,
)
from notifications.use_cases.incidents.customer_decider import Agreements


def register_customer(
    tx: Transaction,
    act: AuditContext,
    draft: CustomerDraft,
    agreement_id: str,
    effective_at: datetime,
    agreements: Agreements,
    *,
    dpa_id: str | None = None,
    products: tuple[str, ...] | None = None,
) -> Customer:
    """Register a customer and bind it as ``bind_agreement`` does, in one transaction."""
    agreements.named(agreement_id)
    customer = new_customer(act, draft)
    tx.customers.add(customer, act.identifiers.new_salt())
    tx.audit.append([customer_entry(act, tx.customers.pseudonym(customer.id), "customer.registered", customer)])
    bind_agreement(tx, act, customer.id, agreement_id, effective_at, agreements, dpa_id=dpa_id, products=products)
    return customer


def change_customer(
    tx: Transaction, act: AuditContext, customer_id: UUID, expected_version: int, draft: CustomerDraft
) -> Customer:
    """Replace the editable data of a customer; raises NotFoundError, VersionMismatchError."""
    before = tx.customers.require(customer_id)
    if before.version != expected_version:
        raise VersionMismatchError("customer", customer_id, expected_version, before.version)
    customer = replace(
        before,
        name=draft.name,
        language=draft.language,
        time_zone=draft.time_zone,
        services=draft.services,
        regions=draft.regions,
        availability_zones=draft.availability_zones,
        four_eyes=draft.four_eyes,
        acknowledge_within_seconds=draft.acknowledge_within_seconds,
        news_channel=draft.news_channel,
        version=before.version + 1,
    )
    tx.customers.save(customer, before.version)
    tx.audit.append([customer_entry(act, tx.customers.pseudonym(customer.id), "customer.changed", customer)])
    return customer


def bind_agreement(
    tx: Transaction,
    act: AuditContext,
    customer_id: UUID,
    agreement_id: str,
    effective_at: datetime,
    agreements: Agreements,
    *,
    dpa_id: str | None = None,
    products: tuple[str, ...] | None = None,
) -> AgreementBinding:
    """Bind a customer to an agreement version, a DPA and products, from a moment on. Earlier bindings do not change.

    ``dpa_id``: None for the DPA that the agreement names for the day. ``products``: None for all its products. A
    customer that is bound to the same agreement then keeps what is left out.

    1. Check that the agreement exists and holds on the day of the binding, and that the DPA and the products belong to
       it.
    2. Fill in what is left out, from the binding to the same agreement that is in force then.
    3. Record the binding and its log entry.

    Raises NotFoundError, and InvalidInputError for ``agreement_id``, ``effective_at``, ``dpa_id`` and ``products``.
    """
    customer = tx.customers.require(customer_id)
    # 1.
    day = local_day(effective_at, customer.time_zone)
    verify_terms(agreements.named(agreement_id), day, dpa_id, products, agreements)
    # 2.
    before = binding_in_force(tx.customers.bindings(customer_id), effective_at)
    if before is not None and before.agreement_id == agreement_id:
        dpa_id, products = dpa_id or before.dpa_id, products or before.products
    ordered = None if products is None else tuple(sorted(products))
    # 3.
    binding = AgreementBinding(customer_id, agreement_id, effective_at, act.now, dpa_id, ordered)
    tx.customers.add_binding(binding)
    tx.audit.append([bound_entry(act, tx.customers.pseudonym(customer_id), binding)])
    return binding


def local_day(moment: datetime, zone: str) -> date:
    """Return the day of a moment in a zone; in UTC if the zone has become unknown."""
    try:
        return moment.astimezone(time_zone(zone)).date()
    except LookupError:
        return moment.astimezone(UTC).date()


def verify_terms(
    agreement: Agreement, day: date, dpa_id: str | None, products: tuple[str, ...] | None, agreements: Agreements
) -> None:
    """Raise InvalidInputError unless the agreement holds on the day, and has the DPA and the products.

    An agreement whose file states no days holds on each day.
    """
    faults: list[Fault] = []
    stated = agreement.validity
    if stated is not None and (day < stated.from_on or (stated.until_on is not None and day > stated.until_on)):
        held = f"from {stated.from_on}" + ("" if stated.until_on is None else f" to {stated.until_on}")
        faults.append(Fault("effective_at", f"is {day} at the customer, and {agreement.id} holds {held}"))
    known = [dpa.id for dpa in dpas_of(agreement, agreements.dpas)]
    if dpa_id is not None and dpa_id not in known:
        faults.append(
            Fault("dpa_id", f"no such DPA of this agreement; it has: {', '.join(known) or 'none of its own'}")
        )
    if products is not None and not products:
        faults.append(Fault("products", "must name at least one product, or be left out for all of them"))
    if products is not None and len(set(products)) != len(products):
        faults.append(Fault("products", "must not name a product twice"))
    for product in products or ():
        if product not in agreement.product_ids:
            reason = f"{product[:64]!a} is not a product of this agreement; it has: {', '.join(agreement.product_ids)}"
            faults.append(Fault("products", reason))
    if faults:
        raise InvalidInputError(*faults)


def choose_profile(
    tx: Transaction,
    act: AuditContext,
    customer_id: UUID,
    choices: tuple[LevelChoice, ...] | None,
    effective_at: datetime,
    agreements: Agreements,
) -> ProfileVersion:
    """Record the levels that a customer chose, from ``effective_at``. None restores the default levels.

    Raises InvalidInputError for each level that no agreement of the customer has.
    """
    tx.customers.require(customer_id)
    verify_choices(tx, customer_id, choices, agreements)
    version = 1 + max((profile.version for profile in tx.customers.profiles(customer_id)), default=0)
    profile = ProfileVersion(
        id=act.identifiers.new_id(),
        customer_id=customer_id,
        version=version,
        choices=choices,
        effective_at=effective_at,
        recorded_at=act.now,
        recorded_by=act.actor,
    )
    tx.customers.add_profile(profile)
    tx.audit.append([
        act.entry(
            "profile.chosen",
            subjects={"customer": tx.customers.pseudonym(customer_id)},
            detail={
                "version": version,
                "effective_at": timestamp_text(effective_at),
                "choices": None if choices is None else [_choice_text(choice) for choice in choices],
            },
        )
    ])  # fmt: skip
    return profile


def verify_choices(
    tx: Transaction, customer_id: UUID, choices: tuple[LevelChoice, ...] | None, agreements: Agreements
) -> None:
    """Raise InvalidInputError for each chosen level that none of the customer's agreements has."""
    bound = [agreements.terms(each, each.effective_at) for each in tx.customers.bindings(customer_id)]
    known = {
        "impacts": {level.id for agreement in bound for level in agreement.impacts},
        "criticalities": {level.id for agreement in bound for level in agreement.criticalities},
        "priorities": {level.id for agreement in bound for level in agreement.priorities},
    }
    faults = [
        Fault(f"choices.{position}.{dimension}", f"{level!r} is not a level of the customer's agreement")
        for position, choice in enumerate(choices or ())
        for dimension, levels in known.items()
        for level in getattr(choice, dimension)
        if level not in levels
    ]
    if faults:
        raise InvalidInputError(*faults)


def add_contact(tx: Transaction, act: AuditContext, customer_id: UUID, draft: ContactDraft) -> Contact:
    """Add a contact to which notices are served; raises NotFoundError, InvalidInputError."""
    tx.customers.require(customer_id)
    _verify_address_is_new(tx, customer_id, draft.email, None)
    contact = new_contact(act, customer_id, draft)
    tx.customers.add_contact(contact)
    tx.audit.append(contact_entries(act, tx.customers.pseudonym(customer_id), None, contact))
    return contact


def change_contact(
    tx: Transaction, act: AuditContext, customer_id: UUID, contact_id: UUID, expected_version: int, draft: ContactDraft
) -> Contact:
    """Replace the editable data of a contact; raises NotFoundError, VersionMismatchError, InvalidInputError.

    A contact is never removed, only deactivated, so that its record is kept. A changed address is unconfirmed again,
    unless the person who changes it vouches for it.
    """
    before = tx.customers.contact(contact_id)
    if before is None or before.customer_id != customer_id:
        raise NotFoundError("contact", contact_id)
    if before.version != expected_version:
        raise VersionMismatchError("contact", contact_id, expected_version, before.version)
    _verify_address_is_new(tx, customer_id, draft.email, contact_id)
    verify_certificate(draft, before, act)
    verified_at = before.verified_at if a_label_address(draft.email) == a_label_address(before.email) else None
    contact = replace(
        before,
        name=draft.name,
        role=draft.role,
        email=draft.email,
        language=draft.language,
        order=draft.order,
        active=draft.active,
        time_zone=draft.time_zone,
        fallback=draft.fallback,
        mail_content=draft.mail_content,
        smime_certificate=draft.smime_certificate,
        verified_at=act.now if verified_at is None and draft.address_confirmed else verified_at,
        phone=draft.phone,
        takes_exercises=draft.takes_exercises,
        version=before.version + 1,
    )
    tx.customers.save_contact(contact, before.version)
    tx.audit.append(contact_entries(act, tx.customers.pseudonym(customer_id), before, contact))
    return contact


def confirm_address(tx: Transaction, act: AuditContext, contact_id: UUID, address: str) -> Contact:
    """Confirm that an address belongs to a contact, which the link mailed to the address proves.

    If the address was confirmed before, the earlier time is kept. NOT checked here: the link. Raises NotFoundError, and
    StateConflictError if the contact has a different address now.
    """
    before = tx.customers.require_contact(contact_id)
    if before.email != address:
        raise StateConflictError("the contact now has a different address")
    if before.verified_at is not None:
        return before
    contact = replace(before, verified_at=act.now, version=before.version + 1)
    tx.customers.save_contact(contact, before.version)
    tx.audit.append([confirmed_entry(act, tx.customers.pseudonym(contact.customer_id), contact, "link")])
    return contact


def _verify_address_is_new(tx: Transaction, customer_id: UUID, email: str, except_id: UUID | None) -> None:
    """Raise InvalidInputError if another active contact of the customer has the address: it would get notices twice."""
    new = normal_address(email)
    others = (other for other in tx.customers.contacts(customer_id) if other.active and other.id != except_id)
    if any(normal_address(other.email) == new for other in others):
        raise InvalidInputError(Fault("email", "another active contact of this customer has this address"))


def _choice_text(choice: LevelChoice) -> str:
    parts = (
        ("impacts", choice.impacts),
        ("criticalities", choice.criticalities),
        ("priorities", choice.priorities),
        ("data_harm", tuple(harmed.value for harmed in choice.data_harm)),
    )
    return ";".join(f"{name}={','.join(values)}" for name, values in parts if values) or "every_security_incident"
